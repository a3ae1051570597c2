// Every way of sharding, and models that are awkward to shard: always mirrored training's bits on one rank.
#include <gtest/gtest.h>

#include "tests/strategies/fully_sharded/tasks.h"
#include "trireme/core/nn/module.h"
#include "trireme/core/optim/adagrad.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/core/optim/sgd.h"

namespace trireme::test {
namespace {

using strategies::FullyShardedOptions;

struct Variant {
  const char* name;
  int world;
  Over over;
  FullyShardedOptions options;
};

const std::vector<Variant>& variants() {
  static const std::vector<Variant> all = {
      {"mapped", 3, Over::shm, {}},
      {"mapped_stage_1", 2, Over::shm, {.zero_stage = 1}},
      {"mapped_hybrid_2x2", 4, Over::shm, {.zero_stage = 2, .shard_group = 2}},
      {"mapped_hybrid_of_one_each", 3, Over::shm, {.shard_group = 1}},
      {"mapped_offloaded", 2, Over::shm, {.cpu_offload = true}},
      {"gathered_over_shm", 3, Over::shm, {.share_memory = false}},
      {"gathered_over_shm_stage_2", 2, Over::shm, {.zero_stage = 2, .share_memory = false}},
      {"stage_1", 3, Over::local, {.zero_stage = 1}},
      {"stage_2_offloaded", 2, Over::local, {.zero_stage = 2, .cpu_offload = true}},
      {"stage_3_offloaded", 2, Over::local, {.cpu_offload = true}},
      {"stage_3_stays_after_forward", 3, Over::local, {.reshard_after_forward = false}},
      {"stage_3_spread_over_two", 4, Over::local, {.reshard_after_forward = 2}},
      {"stage_3_spread_over_three_over_shm", 6, Over::shm, {.reshard_after_forward = 3, .share_memory = false}},
      {"hybrid_2x2", 4, Over::local, {.shard_group = 2}},
      {"hybrid_2x2_stage_1", 4, Over::local, {.zero_stage = 1, .shard_group = 2}},
      {"hybrid_3x2_spread_over_two", 6, Over::local, {.reshard_after_forward = 2, .shard_group = 2}},
      {"hybrid_2x3", 6, Over::local, {.zero_stage = 2, .shard_group = 3}},
      {"seven_ranks", 7, Over::local, {}},
      {"no_units", 3, Over::local, {.units = std::vector<std::string>{}}},
      {"one_rank", 1, Over::local, {.share_memory = false}},
  };
  return all;
}

std::ostream& operator<<(std::ostream& out, const Variant& variant) { return out << variant.name; }

class Variants : public testing::TestWithParam<Variant> {
 protected:
  // The same job, mirrored on one rank and sharded as the variant says.
  static void expect_same_bits(Job job) {
    const Outcome alone = run(job);
    job.world = GetParam().world;
    job.over = GetParam().over;
    job.sharded = GetParam().options;
    job.sharded->param_dtype = job.param_dtype;
    EXPECT_EQ(run(job), alone);
  }
};

TEST_P(Variants, OfAGptWithAccumulationAndShortBatches) {
  expect_same_bits({.lanes = 7, .accumulate = 2, .batches = {28, 28, 4, 28, 1, 28}});
}
TEST_P(Variants, StartWithABatchThatIsTooShortForAllRanks) { expect_same_bits({.lanes = 8, .batches = {2, 16, 16}}); }
TEST_P(Variants, OfBatchNormalization) { expect_same_bits({.lanes = 7, .batches = {14, 14, 3, 14}, .task = resnet}); }
TEST_P(Variants, OfDropoutAndActivationCheckpointing) {
  Job job{.lanes = 7, .batches = {14, 14, 3, 14}, .task = [] { return gpt_with_dropout(false); }};
  const Outcome alone = run(job);
  job.task = [] { return gpt_with_dropout(true); };
  expect_same_bits(job);
  EXPECT_EQ(run(job), alone);
}
TEST_P(Variants, OfTiedFrozenUnusedAndTinyParameters) {
  expect_same_bits({.lanes = 7, .batches = {7, 7, 3, 7}, .task = odd});
}
TEST_P(Variants, OfASparseTable) {
  Job job{.lanes = 7, .batches = {14, 14, 3, 14}, .task = table};
  expect_same_bits(job);
  job.optimizer = [] { return std::make_unique<optim::Adagrad>(); };
  expect_same_bits(job);
  job.optimizer = [] { return std::make_unique<optim::RowwiseAdagrad>(); };
  expect_same_bits(job);
}
TEST_P(Variants, InMixedPrecision) {
  Job job{.lanes = 7, .batches = {14, 14, 3, 14}, .param_dtype = DType::bf16};
  expect_same_bits(job);
  job.task = odd;
  expect_same_bits(job);
  job.task = table;
  expect_same_bits(job);
}
TEST_P(Variants, OfValuesThatRankZeroHadBefore) {
  Job job{.lanes = 7, .batches = {14}};
  job.task = [] {
    Task task = gpt({.layers = 1, .heads = 1, .width = 6, .context = 5, .vocab = 31});
    for (nn::NamedParameter& parameter : task.model->parameters()) {
      if (parameter.name.ends_with("c_fc.weight") || parameter.name.ends_with("wpe.weight")) {
        parameter.tensor.set_value(Array::full(parameter.tensor.shape(), 0.25));
      }
    }
    return task;
  };
  expect_same_bits(job);
}
TEST_P(Variants, EvaluateAndShowTheirParametersBetweenSteps) {
  Job job{.lanes = 7, .batches = {14, 14, 14}};
  const Outcome undisturbed = run(job);
  job.after_step = [](comm::World, strategies::Strategy& strategy, Task& task, std::int64_t step) {
    const NoGrad no_grad;
    const double before = task.loss({7, 1, 14}, step, 0).item();
    EXPECT_EQ(task.loss({7, 1, 14}, step, 0).item(), before);
    EXPECT_FALSE(strategies::params_hash(strategy.full_parameters()).empty());
  };
  job.world = GetParam().world;
  job.over = GetParam().over;
  job.sharded = GetParam().options;
  EXPECT_EQ(run(job), undisturbed);
}

INSTANTIATE_TEST_SUITE_P(All, Variants, testing::ValuesIn(variants()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(FullyShardedFastOrder, IsTheCanonicalOneWhereEachRankHasOneLane) {
  Job job{.lanes = 4, .batches = {8, 8, 3, 8}};
  const Outcome canonical = run(job);
  for (const int group : {0, 2}) {
    for (const int stage : {1, 3}) {
      job.world = 4;
      job.sharded =
          FullyShardedOptions{.zero_stage = stage, .shard_group = group, .reduce_order = comm::ReduceOrder::fast};
      EXPECT_EQ(run(job), canonical);
    }
  }
}

TEST(FullyShardedFastOrder, IsCloseToTheCanonicalOneAndTheSameFromRunToRun) {
  Job job{.lanes = 7, .accumulate = 2, .batches = {28, 28, 4, 28}};
  const Outcome canonical = run(job);
  job.world = 3;
  job.sharded = FullyShardedOptions{.reduce_order = comm::ReduceOrder::fast};
  const Outcome fast = run(job);
  EXPECT_EQ(run(job), fast);
  for (std::size_t i = 0; i < fast.losses.size(); ++i) {
    EXPECT_NEAR(fast.losses[i], canonical.losses[i], 1e-5 * canonical.losses[i]);
    EXPECT_NEAR(fast.norms[i], canonical.norms[i], 1e-5 * canonical.norms[i]);
  }
}

}  // namespace
}  // namespace trireme::test
