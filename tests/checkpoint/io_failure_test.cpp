// Every call of the file system fails, once or from then on, on whichever rank makes it: nothing is lost in silence,
// and the errors say what failed, where, why, and what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>

#include "tests/checkpoint/histories.h"
#include "tests/support/sanitizers.h"
#include "trireme/core/base/log.h"

namespace trireme::checkpoint {
namespace {

using namespace test_state;
using test::FaultFileSystem;
using testing::AnyOf;
using testing::HasSubstr;

class IoFailure : public testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};

// Lives the short history, its writers going on after errors, and looks after each run at what a new one would find,
// and at what if the machine has `crashed` by then.
Told live_with_fault(FaultFileSystem& files, int world_size, std::optional<std::uint64_t> order, bool crashed = false) {
  Told told;
  for (const SavingRun& run : kShortHistory) {
    if (order) {
      live_interleaved(files, run, world_size, told, *order);
    } else {
      live_in_order(files, run, world_size, told);
    }
    FaultFileSystem after(files);  // without the fault
    const std::int64_t found = recovered_step(after);
    EXPECT_TRUE(told.allows(found)) << found << " found, acknowledged " << told.acknowledged;
    if (crashed && !told.errors.empty()) {
      files.crash_images({}, [&](FaultFileSystem& world) {
        const std::int64_t step = recovered_step(world);
        EXPECT_TRUE(told.allows(step)) << step << " found after a crash, acknowledged " << told.acknowledged;
      });
    }
  }
  return told;
}

std::int64_t calls_of_history(int world_size, std::optional<std::uint64_t> order) {
  FaultFileSystem files;
  EXPECT_EQ(live_with_fault(files, world_size, order).acknowledged, kShortHistory.back().steps.back());
  return files.calls();
}

void expect_helpful(const Told& told, int error_number) {
  for (const std::string& text : told.errors) {
    const std::string reason = "errno " + std::to_string(error_number) + ": " + std::strerror(error_number);
    EXPECT_THAT(text, HasSubstr(" /"));
    // Or it is rank 0, which has not got the parts of others.
    EXPECT_THAT(text, AnyOf(HasSubstr(reason), HasSubstr("stored nothing within")));
    EXPECT_THAT(text, HasSubstr("; "));
  }
}

TEST_F(IoFailure, OfAnyCallOnceLosesNothingAndIsReported) {
  const std::int64_t calls = calls_of_history(2, {});
  ASSERT_GT(calls, 200);
  for (const int error : {EIO, ENOSPC}) {
    for (std::int64_t call = 0; call < calls; call += test::kExhaustiveStride) {
      FaultFileSystem files;
      files.fail_call(call, error);
      const Told told = live_with_fault(files, 2, {}, call % 4 == 0);
      expect_helpful(told, error);
      ASSERT_TRUE(!told.errors.empty() || told.acknowledged == kShortHistory.back().steps.back()) << "lost in silence";
      ASSERT_LE(told.errors.size(), 4u) << "one on the rank, and one a step on the committer if it could not begin";
      ASSERT_FALSE(HasFailure()) << "call " << call << ", errno " << error;
    }
  }
}

TEST_F(IoFailure, OfAllCallsFromOneOnNeverHarmsWhatIsThere) {
  const std::int64_t calls = calls_of_history(2, {});
  for (const int error : {EIO, ENOSPC, EINTR}) {
    for (std::int64_t call = 0; call < calls; call += (error == EINTR ? 37 : 1) * test::kExhaustiveStride) {
      FaultFileSystem files;
      files.fail_call(call, error, /*for_ever=*/true);
      const Told told = live_with_fault(files, 2, {}, call % 4 == 0);
      expect_helpful(told, error);
      EXPECT_TRUE(!told.errors.empty() || told.acknowledged == kShortHistory.back().steps.back()) << "lost in silence";
      ASSERT_FALSE(HasFailure()) << "from call " << call << ", errno " << error;
    }
  }
}

TEST_F(IoFailure, InterruptedAndShortCallsGoUnnoticed) {
  const std::int64_t calls = calls_of_history(2, {});
  for (std::int64_t call = 0; call < calls; call += test::kExhaustiveStride) {
    for (const bool interrupted : {true, false}) {
      FaultFileSystem files;
      if (interrupted) {
        files.fail_call(call, EINTR);
      } else {
        files.shorten_write(call, /*for_ever=*/call % 2 == 0);
      }
      const Told told = live_with_fault(files, 2, {});
      ASSERT_TRUE(told.errors.empty()) << call << ": " << told.errors.front();
      ASSERT_EQ(told.acknowledged, kShortHistory.back().steps.back());
      ASSERT_FALSE(HasFailure()) << call;
    }
  }
}

// A resume that cannot read the newest checkpoint says so, and does not quietly go on from an older one.
TEST_F(IoFailure, OfAnyCallOfAResumeIsAnErrorOrDoesNotMatter) {
  FaultFileSystem saved;
  Told told;
  live_in_order(saved, kShortHistory.front(), 2, told);
  FaultFileSystem probe(saved);
  ASSERT_EQ(recovered_step(probe), told.acknowledged);
  for (const int error : {EIO, EACCES, EINTR}) {
    for (std::int64_t call = 0; call < probe.calls(); ++call) {
      for (const bool for_ever : {false, true}) {
        FaultFileSystem files(saved);
        files.fail_call(call, error, for_ever);
        std::int64_t step = -1;
        const std::string text = error_of([&] { step = recovered_step(files); });
        EXPECT_TRUE(text != "no error" || step == told.acknowledged) << "call " << call << ": step " << step;
        EXPECT_TRUE(text == "no error" || text.find("errno " + std::to_string(error)) != std::string::npos) << text;
      }
    }
  }
}

TEST_F(IoFailure, OnAnyOfThreeRanksInAnyOrder) {
  for (const std::uint64_t order : {1u, 2u}) {
    const std::int64_t calls = calls_of_history(3, order);
    for (std::int64_t call = static_cast<std::int64_t>(order); call < calls; call += 6 * test::kExhaustiveStride) {
      for (const bool for_ever : {false, true}) {
        FaultFileSystem files;
        files.fail_call(call, EIO, for_ever);
        const Told told = live_with_fault(files, 3, order, call % 4 == 0);
        expect_helpful(told, EIO);
        ASSERT_FALSE(HasFailure()) << "order " << order << ", call " << call;
      }
    }
  }
}

}  // namespace
}  // namespace trireme::checkpoint
