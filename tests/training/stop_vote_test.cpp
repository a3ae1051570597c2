#include "trireme/training/stop_vote.h"

#include <gtest/gtest.h>

#include <atomic>

#include "trireme/comm/environment.h"

namespace trireme::training {
namespace {

TEST(StopVote, ALoneRankDecidesAtOnce) {
  comm::run_local(1, [](comm::World world) {
    StopVote vote(*world.communicator());
    EXPECT_EQ(vote.vote(StopReason::none), StopReason::none);
    EXPECT_EQ(vote.vote(StopReason::signal), StopReason::signal);
  });
}

TEST(StopVote, OneRanksWishStopsAllAfterTheSameStep) {
  for (const int size : {2, 3, 4}) {
    std::vector<int> stopped_after(static_cast<std::size_t>(size), -1);
    comm::run_local(size, [&](comm::World world) {
      StopVote vote(*world.communicator());
      for (int step = 0; step < 10; ++step) {
        const bool mine = world.rank() == size - 1 && step >= 3;
        if (vote.vote(mine ? StopReason::time_limit : StopReason::none) != StopReason::none) {
          stopped_after[static_cast<std::size_t>(world.rank())] = step;
          break;
        }
      }
      vote.finish();
    });
    EXPECT_EQ(stopped_after, std::vector<int>(static_cast<std::size_t>(size), 4));
  }
}

TEST(StopVote, TheLargestReasonCountsAndFinishCollectsIt) {
  comm::run_local(3, [](comm::World world) {
    StopVote vote(*world.communicator());
    const StopReason wishes[] = {StopReason::none, StopReason::signal, StopReason::time_limit};
    EXPECT_EQ(vote.vote(wishes[world.rank()]), StopReason::none);
    EXPECT_EQ(vote.finish(), StopReason::signal);
    EXPECT_EQ(vote.finish(), StopReason::none);
  });
}

}  // namespace
}  // namespace trireme::training
