// Crashes: at every call of save, rotate, delete, replace and restart, every world that the crash could leave must
// recover to the last acknowledged checkpoint or the one in flight. And every call fails once, or from then on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <tuple>

#include "tests/checkpoint/state_fixture.h"
#include "tests/support/sanitizers.h"
#include "trireme/core/base/log.h"

namespace trireme::checkpoint {
namespace {

using namespace test_state;
using test::FaultFileSystem;
using test::ManualClock;

constexpr int kWorldSize = 2;

// A history of saves by runs that each die without a word; `step` is what the run saves next.
struct Save {
  std::int64_t step;
  std::uint64_t run_id;
  int keep;
};
const std::vector<Save> kHistory = {
    {1, 1, 2}, {2, 1, 2}, {3, 1, 2}, {4, 1, 2},  // rotation begins with the third
    {4, 2, 2}, {5, 2, 2},                        // started again; step 4 is replaced
    {3, 3, 1}, {6, 3, 1}, {7, 3, 1},             // started again from before; fewer are kept
};

// Enough to rotate and to replace once; for the tests that repeat a history for each of its calls.
const std::vector<Save> kShortHistory = {{1, 1, 2}, {2, 1, 2}, {3, 1, 2}, {3, 2, 1}};

// Arbitrary worlds at each call, beyond the systematic ones. TRIREME_TEST_FULL=1 asks for the long run.
int random_worlds() { return std::getenv("TRIREME_TEST_FULL") != nullptr ? 200 : 3; }

// Lets one save of the history happen, by writers of its run. What is acknowledged is told through `acknowledged`.
void save(FileSystem& files, Clock& clock, const Save& one, std::int64_t& acknowledged, std::int64_t& in_flight) {
  in_flight = one.step;
  for (int rank = kWorldSize - 1; rank >= 0; --rank) {
    WriterOptions given = options("/c", rank, kWorldSize);
    given.run_id = one.run_id;
    given.keep = one.keep;
    Writer writer(files, clock, given);
    writer.save(position(one.step), make_state(one.step, rank, kWorldSize));
  }
  acknowledged = one.step;
}

// What a run that starts now would find, its values checked; -1 for a fresh start.
std::int64_t recovered_step(FileSystem& files) {
  std::optional<Reader> reader = Reader::open_newest(files, "/c");
  if (!reader) {
    return -1;
  }
  const std::int64_t step = reader->position().step;
  const auto state = make_state(-1);
  reader->load(state);
  expect_equal(state, make_state(step));
  return step;
}

class Crash : public testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override { log::set_level(log::Level::info); }
};

TEST_F(Crash, EveryWorldThatACrashCouldLeaveRecovers) {
  FaultFileSystem files;
  ManualClock clock;
  std::int64_t acknowledged = -1;
  std::int64_t in_flight = -1;
  std::int64_t worlds = 0;
  std::int64_t continued = 0;
  std::tuple<std::int64_t, std::int64_t, std::int64_t> seen;
  files.on_call([&](std::int64_t call) {
    const std::tuple now(files.changes(), acknowledged, in_flight);
    if (std::exchange(seen, now) == now) {
      return;  // only looked since the last call
    }
    for (const auto& world : files.crash_images(random_worlds(), static_cast<std::uint64_t>(call))) {
      if (++worlds % test::kExhaustiveStride != 0) {
        continue;
      }
      const std::int64_t step = recovered_step(*world);
      ASSERT_TRUE(step == acknowledged || step == in_flight)
          << "call " << call << ": found " << step << ", acknowledged " << acknowledged << ", in flight " << in_flight;
      if (worlds % 8 == 0) {  // nothing that is half deleted or half written looks whole
        for (const Candidate& candidate : survey(*world, "/c").readable) {
          ASSERT_EQ(error_of([&] { Reader::open(*world, candidate.path); }), "no error") << "call " << call;
        }
      }
      if (worlds % 16 == 0) {  // and the next run can go on from there
        std::int64_t next = -1;
        std::int64_t ignored = -1;
        save(*world, clock, {step + 1, 99, 2}, next, ignored);
        ASSERT_EQ(recovered_step(*world), step + 1) << "call " << call;
        ++continued;
      }
    }
  });
  for (const Save& one : kHistory) {
    save(files, clock, one, acknowledged, in_flight);
    ASSERT_EQ(recovered_step(files), one.step);
    ASSERT_FALSE(HasFatalFailure());
  }
  RecordProperty("worlds", std::to_string(worlds));
  EXPECT_GT(worlds, 5'000);
  EXPECT_GT(continued, 300 / test::kExhaustiveStride);
}

// The calls that the short history makes.
std::int64_t calls_of_history() {
  FaultFileSystem files;
  ManualClock clock;
  std::int64_t acknowledged = -1;
  std::int64_t in_flight = -1;
  for (const Save& one : kShortHistory) {
    save(files, clock, one, acknowledged, in_flight);
  }
  return files.calls();
}

// Runs the short history with a fault at one call; a save that fails is left out. Returns the errors' texts.
std::vector<std::string> run_with_fault(FaultFileSystem& files) {
  ManualClock clock;
  std::vector<std::string> errors;
  std::int64_t acknowledged = -1;
  for (const Save& one : kShortHistory) {
    std::int64_t in_flight = -1;
    try {
      save(files, clock, one, acknowledged, in_flight);
    } catch (const Error& error) {
      errors.emplace_back(error.what());
    }
    FaultFileSystem after(files);  // without the fault
    const std::int64_t step = recovered_step(after);
    EXPECT_TRUE(step == acknowledged || step == in_flight) << step << " found, acknowledged " << acknowledged;
    acknowledged = step;
  }
  return errors;
}

TEST_F(Crash, WhicheverCallFailsOnceTheErrorSaysSoAndNothingIsLost) {
  const std::int64_t calls = calls_of_history();
  ASSERT_GT(calls, 200);
  for (std::int64_t call = 0; call < calls; call += test::kExhaustiveStride) {
    FaultFileSystem files;
    files.fail_call(call, call % 2 == 0 ? EIO : ENOSPC);
    const std::vector<std::string> errors = run_with_fault(files);
    ASSERT_LE(errors.size(), 2u) << call;
    for (const std::string& text : errors) {
      ASSERT_THAT(text, testing::AnyOf(testing::HasSubstr("errno"), testing::HasSubstr("stored nothing"))) << call;
    }
    ASSERT_FALSE(HasFailure()) << "call " << call;
  }
}

TEST_F(Crash, ADiskThatFailsForEverNeverHarmsWhatIsThere) {
  const std::int64_t calls = calls_of_history();
  for (std::int64_t call = 0; call < calls; call += test::kExhaustiveStride) {
    FaultFileSystem files;
    files.fail_call(call, call % 2 == 0 ? ENOSPC : EIO, /*for_ever=*/true);
    run_with_fault(files);
    ASSERT_FALSE(HasFailure()) << "from call " << call;
  }
}

TEST_F(Crash, InterruptedAndShortCallsGoUnnoticed) {
  const std::int64_t calls = calls_of_history();
  for (std::int64_t call = 0; call < calls; call += test::kExhaustiveStride) {
    FaultFileSystem files;
    if (call % 2 == 0) {
      files.fail_call(call, EINTR);
    } else {
      files.shorten_write(call);
    }
    ASSERT_TRUE(run_with_fault(files).empty()) << call;
    ASSERT_FALSE(HasFailure()) << call;
  }
}

}  // namespace
}  // namespace trireme::checkpoint
