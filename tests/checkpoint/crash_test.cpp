// Crashes: at every call of save, rotate, delete, replace and restart, every world that the crash could leave must
// recover to the last acknowledged checkpoint or a newer one. TRIREME_TEST_FULL=1 asks for far more of these worlds.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <unordered_map>

#include "tests/checkpoint/histories.h"
#include "tests/support/sanitizers.h"
#include "trireme/core/base/log.h"

namespace trireme::checkpoint {
namespace {

using namespace test_state;
using test::CrashPlan;
using test::FaultFileSystem;

bool full() { return std::getenv("TRIREME_TEST_FULL") != nullptr; }

class Crash : public testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::off); }
  void TearDown() override {
    log::set_level(log::Level::info);
    std::cout << "[          ] " << states_ << " crash states, " << found_.size() << " of them different\n";
    RecordProperty("states", std::to_string(states_));
  }

  // The step that is found in a world; each different world is looked at once.
  std::int64_t found_in(FaultFileSystem& world) {
    const auto [place, is_new] = found_.try_emplace(world.fingerprint(), -2);
    if (is_new) {
      place->second = recovered_step(world);
      expect_nothing_looks_whole_but_is_not(world);
    }
    return place->second;
  }

  // Nothing that is half deleted or half written.
  static void expect_nothing_looks_whole_but_is_not(FaultFileSystem& world) {
    if (world.status("/c")) {
      for (const Candidate& candidate : survey(world, "/c").readable) {
        EXPECT_EQ(error_of([&] { Reader::open(world, candidate.path); }), "no error");
      }
    }
  }

  // Looks at every world that a crash could leave now. `each` gets those worlds to act in.
  void look(const FaultFileSystem& files, const Told& told, const CrashPlan& plan, const std::string& where,
            const std::function<void(FaultFileSystem&, std::int64_t step)>& each = {}) {
    if (HasFailure()) {
      return;
    }
    states_ += files.crash_images(plan, [&](FaultFileSystem& world) {
      if (++seen_ % test::kExhaustiveStride != 0 || HasFailure()) {
        return;
      }
      const std::int64_t step = found_in(world);
      if (!told.allows(step)) {
        ADD_FAILURE() << where << ": found " << step << ", acknowledged " << told.acknowledged << ", in flight "
                      << testing::PrintToString(told.in_flight);
      }
      if (each) {
        each(world, step);
      }
    });
  }

  // Has `files` looked at before each call that comes after a change.
  void watch(FaultFileSystem& files, const Told& told, CrashPlan plan, const std::string& where,
             std::function<void(FaultFileSystem&, std::int64_t)> each = {}) {
    files.on_call([this, &files, &told, plan, where, each = std::move(each),
                   last = std::tuple<std::int64_t, std::int64_t, std::size_t>(-1, -1, 0)](std::int64_t call) mutable {
      const std::tuple now(files.changes(), told.acknowledged, told.in_flight.size());
      if (std::exchange(last, now) != now) {
        plan.seed = static_cast<std::uint64_t>(call);
        look(files, told, plan, where + ", call " + std::to_string(call), each);
      }
    });
  }

  // A run starts in `world`, which a crash or the death of its processes has left, saves a step, and may crash at each
  // of its calls again.
  void go_on_and_crash_again(FaultFileSystem& world, Told told, std::int64_t found, const CrashPlan& plan,
                             const std::string& where) {
    watch(world, told, plan, where + ", and again");
    live_in_order(world, {99, 1, {found + 1}}, 2, told);
    world.on_call({});
    EXPECT_TRUE(told.errors.empty()) << where << ": " << told.errors.front();
    EXPECT_EQ(recovered_step(world), found + 1) << where;
  }

  std::int64_t states_ = 0;
  std::int64_t seen_ = 0;
  std::unordered_map<std::uint64_t, std::int64_t> found_;
};

TEST_F(Crash, EveryWorldThatACrashCouldLeaveRecovers) {
  FaultFileSystem files;
  Told told;
  std::int64_t acted = 0;
  watch(files, told, {.exhaustive = full() ? 20'000u : 64u, .random = full() ? 200 : 3}, "in order",
        [&](FaultFileSystem& world, std::int64_t step) {
          if (++acted % (full() ? 64 : 16) == 0) {  // and the next run can go on from there
            Told next{.acknowledged = step};
            live_in_order(world, {99, 2, {step + 1}}, 2, next);
            EXPECT_EQ(next.acknowledged, step + 1) << "acknowledged after a crash that had left " << step;
            EXPECT_EQ(recovered_step(world), step + 1);
          }
        });
  for (const SavingRun& run : kHistory) {
    live_in_order(files, run, 2, told);
    ASSERT_TRUE(told.errors.empty()) << told.errors.front();
    ASSERT_EQ(recovered_step(files), run.steps.back());
  }
  EXPECT_GT(states_, full() ? 100'000 : 5'000);
}

TEST_F(Crash, WhateverTheOrderInWhichTheRanksGetOn) {
  for (const int world_size : {2, 3}) {
    for (std::uint64_t seed = 0; seed < (full() ? 20 : 2); ++seed) {
      FaultFileSystem files;
      Told told;
      watch(files, told, {.exhaustive = full() ? 1'000u : 16u, .random = full() ? 20 : 2},
            std::to_string(world_size) + " ranks, order " + std::to_string(seed));
      for (const SavingRun& run : kShortHistory) {
        live_interleaved(files, run, world_size, told, seed);
        ASSERT_TRUE(told.errors.empty()) << told.errors.front();
        ASSERT_EQ(recovered_step(files), run.steps.back());
      }
      ASSERT_FALSE(HasFailure());
    }
  }
}

TEST_F(Crash, ASecondOneWhileTheNextRunRecovers) {
  const int stride = full() ? 2 : 100;
  const CrashPlan again{.exhaustive = full() ? 32u : 0u, .random = full() ? 4 : 0};
  FaultFileSystem files;
  Told told;
  std::int64_t at = 0;
  watch(files, told, {.random = 1}, "first", [&](FaultFileSystem& world, std::int64_t step) {
    if (++at % stride == 0) {
      go_on_and_crash_again(world, {.acknowledged = step}, step, again, "crash");
    }
  });
  for (const SavingRun& run : kShortHistory) {
    live_in_order(files, run, 2, told);
    ASSERT_FALSE(HasFailure());
  }
}

TEST_F(Crash, OneAfterTheProcessesWereKilledAndTheNextRunHasBegun) {
  const CrashPlan again{.exhaustive = full() ? 256u : 0u, .random = full() ? 20 : 0};
  FaultFileSystem files;
  Told told;
  std::int64_t last = -1;
  files.on_call([&](std::int64_t call) {
    if (std::exchange(last, files.changes()) == files.changes() || HasFailure()) {
      return;
    }
    FaultFileSystem killed(files);
    const std::int64_t step = recovered_step(killed);
    EXPECT_TRUE(told.allows(step)) << step;
    Told next = told;  // what was found may not be durable yet
    next.in_flight.insert(step);
    go_on_and_crash_again(killed, next, step, again, "killed before call " + std::to_string(call));
  });
  for (const SavingRun& run : kShortHistory) {
    live_in_order(files, run, 2, told);
    ASSERT_FALSE(HasFailure());
  }
}

}  // namespace
}  // namespace trireme::checkpoint
