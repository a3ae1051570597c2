// Gradients of several backward passes, whole or as rows.
#include <gtest/gtest.h>

#include <tuple>

#include "tests/strategies/fully_sharded/tasks.h"
#include "trireme/core/optim/sgd.h"

namespace trireme::test {
namespace {

using strategies::FullySharded;
using strategies::FullyShardedOptions;

struct Result {
  std::string hash;
  strategies::StepReport report;
  std::uint64_t bytes = 0;  // moved in the last step
};

// Two steps of rank 0, in each of which every rank has two items: in so many passes.
Result train(comm::World world, const FullyShardedOptions& options, const MakeTask& make_task, std::int64_t passes) {
  Task task = make_task();
  optim::SGD sgd({.lr = 0.1});
  FullySharded strategy(world, options);
  strategy.prepare(*task.model, sgd);
  strategy.clip_grad_norm(0.5);
  const std::int64_t leaves = passes * world.size();
  Result result;
  for (std::int64_t step = 0; step < 2; ++step) {
    const std::uint64_t before = strategy.bytes_moved();
    const std::int64_t first = passes * world.rank();
    for (std::int64_t pass = 0; pass + 1 < passes; ++pass) {
      const auto guard = strategy.no_sync();
      task.loss({leaves, 1, 4 * world.size()}, step, first + pass).backward();
    }
    task.loss({leaves, 1, 4 * world.size()}, step, first + passes - 1).backward();
    EXPECT_TRUE(strategy.step());
    result.bytes = strategy.bytes_moved() - before;
  }
  result.report = strategy.report();
  result.hash = strategies::params_hash(strategy.full_parameters());
  return result;
}

Task small_gpt() { return gpt({.layers = 2, .heads = 1, .width = 6, .context = 4, .vocab = 31}); }

class NoSyncWays : public testing::TestWithParam<std::tuple<int, bool, int>> {
 protected:
  static FullyShardedOptions options() {
    const auto [stage, share, group] = GetParam();
    return {.zero_stage = stage, .shard_group = group, .share_memory = share};
  }
};

TEST_P(NoSyncWays, AddsUpUntilTheLastBackward) {
  for (const bool each : {false, true}) {
    run_ranks(Over::shm, 2, [&](comm::World world) {
      FullyShardedOptions sharded = options();
      sharded.reduce_under_no_sync = each;
      const Result whole = train(world, sharded, small_gpt, 1);
      for (const std::int64_t passes : {2, 4}) {
        const Result parts = train(world, sharded, small_gpt, passes);
        EXPECT_NEAR(parts.report.loss, whole.report.loss, 1e-5);
        EXPECT_NEAR(parts.report.grad_norm, whole.report.grad_norm, 1e-5);
      }
    });
  }
}

// The sum of each pass is that of its ranks, in canonical order; then passes are added, in their order.
TEST_P(NoSyncWays, ReducedPassesHaveTheSameBitsInEveryStageAndHome) {
  run_ranks(Over::shm, 2, [&](comm::World world) {
    for (const MakeTask& task : {MakeTask(small_gpt), MakeTask(odd)}) {
      FullyShardedOptions sharded = options();
      sharded.reduce_under_no_sync = true;
      EXPECT_EQ(train(world, sharded, task, 4).hash,
                train(world, {.zero_stage = 2, .reduce_under_no_sync = true}, task, 4).hash);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(All, NoSyncWays,
                         testing::Combine(testing::Values(1, 2, 3), testing::Bool(), testing::Values(0, 1)),
                         [](const auto& info) {
                           return "stage_" + std::to_string(std::get<0>(info.param)) +
                                  (std::get<1>(info.param) ? "_mapped" : "_gathered") +
                                  (std::get<2>(info.param) == 0 ? "" : "_replicated");
                         });

TEST(NoSync, SendsNothingUnlessEachPassIsReduced) {
  run_ranks(Over::shm, 2, [](comm::World world) {
    const Result once = train(world, {}, small_gpt, 1);
    EXPECT_EQ(train(world, {}, small_gpt, 4).bytes, once.bytes);
    const Result each = train(world, {.reduce_under_no_sync = true}, small_gpt, 4);
    EXPECT_GT(each.bytes, 2 * once.bytes);
    EXPECT_LT(each.bytes, 4 * once.bytes);
  });
}

}  // namespace
}  // namespace trireme::test
