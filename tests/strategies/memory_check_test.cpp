// Ranks that share a machine or a cgroup's limit are refused together, before anything is allocated.
#include "trireme/strategies/memory_check.h"

#include <gtest/gtest.h>

#include "trireme/comm/environment.h"
#include "trireme/core/base/error.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/nn/sequential.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/strategies/fully_sharded/fully_sharded.h"
#include "trireme/strategies/mirrored/mirrored.h"

namespace trireme::strategies {
namespace {

constexpr std::int64_t kGiB = 1 << 30;

TEST(MemoryCheck, RanksOfOneMachineAreAddedUp) {
  const MemoryNeed rank{.host = 1, .host_bytes = 8 * kGiB, .cgroup = 1, .bytes = 3 * kGiB};
  EXPECT_EQ(why_too_much({rank, rank}), "");
  EXPECT_EQ(why_too_much({rank, rank, rank}), "3 ranks (0 to 2) need 9.0 GiB together, and their machine has 8.0 GiB");
  MemoryNeed elsewhere = rank;
  elsewhere.host = elsewhere.cgroup = 2;
  EXPECT_EQ(why_too_much({rank, rank, elsewhere, elsewhere}), "");
}

TEST(MemoryCheck, ALimitMayHoldForEachRankOrForSeveral) {
  MemoryNeed a{.host = 1, .host_bytes = 64 * kGiB, .cgroup = 7, .cgroup_bytes = 4 * kGiB, .bytes = 3 * kGiB};
  MemoryNeed b = a;
  EXPECT_NE(why_too_much({a, b}).find("the memory limit of their cgroup"), std::string::npos);
  b.cgroup = 8;
  EXPECT_EQ(why_too_much({a, b}), "");
  b.bytes = 5 * kGiB;
  EXPECT_EQ(why_too_much({a, b}),
            "rank 1 needs 5.0 GiB, and the memory limit of their cgroup (a container or batch job) is 4.0 GiB");
}

TEST(MemoryCheck, UnknownAmountsAreNoReason) { EXPECT_EQ(why_too_much({{.bytes = 1000 * kGiB}}), ""); }

// A thousand layers of 4 GiB, of which nothing exists yet.
template <class S, class Options>
std::string refusal(const Options& options) {
  std::string message;
  comm::run_local(2, [&](comm::World world) {
    nn::Sequential model;
    for (int i = 0; i < 1000; ++i) {
      model.push_back(nn::Linear(32768, 32768));
    }
    optim::AdamW adamw;
    S strategy(world, options);
    try {
      strategy.prepare(model, adamw);
    } catch (const Error& error) {
      if (world.rank() == 0) {
        message = error.what();
      }
    }
  });
  return message;
}

TEST(MemoryCheck, AStrategyRefusesAModelThatCannotFitOnAllRanks) {
  const std::string mirrored = refusal<Mirrored>(MirroredOptions{});
  EXPECT_NE(mirrored.find("mirrored: the job does not fit: 2 ranks (0 to 1) need"), std::string::npos) << mirrored;
  EXPECT_NE(mirrored.find("optimizer state"), std::string::npos);
  EXPECT_NE(mirrored.find("--strategy fully_sharded"), std::string::npos);
  const std::string sharded = refusal<FullySharded>(FullyShardedOptions{});
  EXPECT_NE(sharded.find("fully_sharded: the job does not fit"), std::string::npos) << sharded;
}

}  // namespace
}  // namespace trireme::strategies
