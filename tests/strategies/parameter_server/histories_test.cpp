// The contract of bounded-stale and asynchronous training, over recorded histories under every fault of the network and
// deaths of workers; and whether the checker would notice if it were broken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/strategies/parameter_server/simulation.h"

namespace trireme::strategies::parameter_server {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

// TRIREME_TEST_FULL=1 asks for the long run.
std::int64_t operations_wanted() { return std::getenv("TRIREME_TEST_FULL") != nullptr ? 1'000'000 : 20'000; }

// Jobs of every shape, one after another, until so many pushes and reads are done.
void run_jobs(std::int64_t operations, std::uint64_t first_seed, const SimulationOptions& base) {
  std::int64_t done = 0;
  int deaths = 0;
  for (std::uint64_t seed = first_seed; done < operations; ++seed) {
    SimulationOptions options = base;
    options.seed = seed;
    options.workers = 1 + static_cast<int>(seed % 4);
    options.servers = 1 + static_cast<int>(seed / 4 % 3);
    options.push_pull = seed / 12 % 2 == 1;
    Simulation simulation(options);
    ASSERT_NO_THROW(simulation.run()) << "seed " << seed;
    ASSERT_THAT(violations(simulation.contract(), simulation.history()), IsEmpty()) << "seed " << seed;
    done += simulation.operations();
    deaths += simulation.deaths();
  }
  testing::Test::RecordProperty("operations", std::to_string(done));
  EXPECT_GT(deaths, 0) << "no worker died: the faults do not reach";
}

TEST(Histories, BoundedStaleReadsKeepTheContractUnderLossDuplicationReorderingPartitionAndDeath) {
  for (const std::int64_t staleness : {0, 1, 3}) {
    run_jobs(operations_wanted() / 4, 1000 * static_cast<std::uint64_t>(staleness), {.staleness = staleness});
  }
}

TEST(Histories, AsynchronousReadsKeepTheContractUnderLossDuplicationReorderingPartitionAndDeath) {
  run_jobs(operations_wanted() / 4, 50'000, {.staleness = std::nullopt});
}

TEST(Histories, ASeedGivesTheSameHistoryAgain) {
  const auto run = [] {
    Simulation simulation({.seed = 77});
    simulation.run();
    std::vector<std::vector<float>> reads;
    for (const Record& record : simulation.history()) {
      reads.push_back(record.values);
    }
    return reads;
  };
  EXPECT_EQ(run(), run());
}

// The point of bounded staleness: eight workers, each slowed threefold in one step of five, on a network that loses
// nothing. Virtual time, so the figure is the same on every machine.
TEST(Histories, BoundedStalenessHidesStragglers) {
  const auto elapsed = [](std::int64_t staleness) {
    double seconds = 0;
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      const Faults none{.drop = 0, .duplicate = 0, .delay_max = std::chrono::microseconds(100), .cut = 0};
      Simulation simulation({.seed = seed,
                             .workers = 8,
                             .servers = 2,
                             .steps = 100,
                             .staleness = staleness,
                             .push_pull = true,
                             .kill = 0,
                             .compute = std::chrono::milliseconds(10),
                             .faults = none});
      simulation.run();
      seconds += std::chrono::duration<double>(simulation.elapsed()).count();
    }
    return seconds;
  };
  const double gain = elapsed(0) / elapsed(3);
  testing::Test::RecordProperty("throughput_gain", std::to_string(gain));
  EXPECT_GE(gain, 1.5);
}

// ---- planted violations ----

// A clean history, then changed by hand.
struct Planted {
  Planted() : simulation({.seed = 5, .kill = 0, .faults = {.cut = 0}}) {
    simulation.run();
    history = simulation.history();
  }
  // The last read of the worker whose values are not the last of all.
  Record& late_read(int worker) {
    for (auto record = history.rbegin() + 6; record != history.rend(); ++record) {
      if (record->kind == Record::Kind::read && record->worker == worker) {
        return *record;
      }
    }
    return history.front();
  }
  std::vector<std::string> found() const { return violations(simulation.contract(), history); }

  Simulation simulation;
  std::vector<Record> history;
};

TEST(HistoryChecker, FindsNothingInAHistoryThatKeepsTheContract) { EXPECT_THAT(Planted().found(), IsEmpty()); }

TEST(HistoryChecker, FindsAPushThatWasAppliedTwice) {
  Planted planted;
  Record& last = planted.history.back();
  last.values[2] += 1;
  last.values[3] += static_cast<float>(weight_of(1, 29));
  EXPECT_THAT(planted.found(), Contains(HasSubstr("applied twice")));
}

TEST(HistoryChecker, FindsTwoPushesOfWhichOneWasAppliedTwiceAndTheOtherNotAtAll) {
  Planted planted;
  Record& last = planted.history.back();
  last.values[3] += static_cast<float>(weight_of(1, 28) - weight_of(1, 29));
  ASSERT_NE(weight_of(1, 28), weight_of(1, 29));
  EXPECT_THAT(planted.found(), Contains(HasSubstr("applied twice")));
}

TEST(HistoryChecker, FindsAnAcknowledgedPushThatIsLost) {
  Planted planted;
  Record& last = planted.history.back();
  last.values[2] -= 1;
  last.values[3] -= static_cast<float>(weight_of(1, 29));
  EXPECT_THAT(planted.found(), Contains(HasSubstr("missing")));
}

TEST(HistoryChecker, FindsOlderValuesAfterNewerOnes) {
  Planted planted;
  Record& read = planted.late_read(1);
  const std::vector<float> newer = read.values;
  for (Record& record : planted.history) {
    if (record.kind == Record::Kind::read && record.worker == 1 && record.server == read.server) {
      read.values = record.values;  // of its first read
      break;
    }
  }
  ASSERT_NE(read.values, newer);
  EXPECT_THAT(planted.found(), Contains(HasSubstr("older values")));
}

// ---- planted bugs: the worker's side does the wrong thing, the servers believe it ----

std::vector<std::string> found_with(SimulationOptions options) {
  std::vector<std::string> found;
  for (std::uint64_t seed = 0; seed < 5 && found.empty(); ++seed) {
    options.seed = seed;
    Simulation simulation(options);
    simulation.run();
    found = violations(simulation.contract(), simulation.history());
  }
  return found;
}

TEST(HistoryChecker, FindsAWorkerThatReadsWithoutWaitingForTheOthers) {
  const auto asks_for_the_first_step = [](Message& message) {
    if (message.kind == Kind::pull) {
      message.step = 0;
    }
    return true;
  };
  EXPECT_THAT(found_with({.staleness = 0, .kill = 0, .tamper = asks_for_the_first_step}), Contains(HasSubstr("ahead")));
}

TEST(HistoryChecker, FindsAPushOfAnotherStepThanTheOneThatWasComputed) {
  const auto wrong_gradient = [count = 0](Message& message) mutable {
    if (message.kind == Kind::push && ++count % 20 == 0) {
      message.factor = 2;  // as if it had been applied twice
    }
    return true;
  };
  EXPECT_THAT(found_with({.kill = 0, .tamper = wrong_gradient}), Contains(HasSubstr("applied twice")));
}

TEST(HistoryChecker, FindsAPushThatIsAcknowledgedWithoutBeingApplied) {
  const auto nothing_in_it = [count = 0](Message& message) mutable {
    if (message.kind == Kind::push && ++count % 20 == 0) {
      message.factor = 0;
    }
    return true;
  };
  EXPECT_THAT(found_with({.kill = 0, .tamper = nothing_in_it}), Contains(HasSubstr("missing")));
}

}  // namespace
}  // namespace trireme::strategies::parameter_server
