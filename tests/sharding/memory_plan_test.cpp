// Tables of memory plans, computed by hand, and the formulas of the ZeRO paper at a real model's size.
#include "trireme/sharding/memory_plan.h"

#include <gtest/gtest.h>

#include "tests/sharding/plan_models.h"
#include "trireme/core/base/error.h"

namespace trireme::sharding {
namespace {

TrainingShape shape_of(int ranks, int stage, bool mapped = false) {
  TrainingShape shape{.world_size = ranks, .split = {ranks, 1, ranks}, .zero_stage = stage, .mapped = mapped};
  shape.states = {2, 0};
  return shape;
}

struct Row {
  const char* what;
  TrainingShape shape;
  // In elements of 4 bytes.
  std::int64_t parameters, gradients, states, partials, unit_parameters, unit_gradients;
};

void check(const Row& row) {
  const MemoryPlan plan = MemoryPlan::make(row.shape, small_model());
  EXPECT_EQ(plan.most_of(MemoryKind::parameters), 4 * row.parameters) << row.what;
  EXPECT_EQ(plan.most_of(MemoryKind::gradients), 4 * row.gradients) << row.what;
  EXPECT_EQ(plan.most_of(MemoryKind::optimizer_state), 4 * row.states) << row.what;
  EXPECT_EQ(plan.most_of(MemoryKind::lane_partials), 4 * row.partials) << row.what;
  EXPECT_EQ(plan.most_of(MemoryKind::unit_parameters), 4 * row.unit_parameters) << row.what;
  EXPECT_EQ(plan.most_of(MemoryKind::unit_gradients), 4 * row.unit_gradients) << row.what;
  const std::int64_t persistent = 4 * (row.parameters + row.gradients + row.states);
  EXPECT_EQ(plan.persistent(), persistent) << row.what;
  EXPECT_EQ(plan.total(MemoryPhase::between_steps), persistent + 4 * row.partials) << row.what;
  EXPECT_EQ(plan.peak(), persistent + 4 * (row.partials + row.unit_parameters + row.unit_gradients)) << row.what;
}

TEST(MemoryPlan, StagesAreThreeLifetimes) {
  // 2048 elements, 512 a rank of four; units: root 1024, blocks 512.
  check({"mirrored", shape_of(4, 0), 2048, 2048, 4096, 0, 0, 0});
  check({"stage 1, gathered", shape_of(4, 1), 2048, 2048, 1024, 0, 0, 0});
  check({"stage 2, gathered", shape_of(4, 2), 2048, 512, 1024, 0, 0, 2048});
  check({"stage 3, gathered", shape_of(4, 3), 512, 512, 1024, 0, 2048, 2048});
  check({"stage 1, mapped", shape_of(4, 1, true), 512, 2048, 1024, 0, 0, 0});
  check({"stage 2, mapped", shape_of(4, 2, true), 512, 512, 1024, 0, 0, 2048});
  check({"stage 3, mapped", shape_of(4, 3, true), 512, 512, 1024, 0, 0, 2048});
  check({"stage 3, one rank", shape_of(1, 3, true), 2048, 2048, 4096, 0, 0, 2048});
}

TEST(MemoryPlan, OptimizersKeepWhatTheyKeep) {
  TrainingShape shape = shape_of(4, 0);
  shape.states = {0, 0};
  check({"SGD", shape, 2048, 2048, 0, 0, 0, 0});
  shape.states = {1, 0};
  check({"SGD with momentum, Adagrad", shape, 2048, 2048, 2048, 0, 0, 0});
  shape.states = {0, 1};
  check({"row-wise Adagrad", shape, 2048, 2048, 128, 0, 0, 0});
  shape.zero_stage = 3;
  shape.mapped = true;
  check({"row-wise Adagrad, sharded", shape, 512, 512, 32, 0, 0, 2048});
}

TEST(MemoryPlan, LanesThatWaitForTheirSiblingKeepAWholeGradient) {
  TrainingShape shape = shape_of(4, 0);
  shape.split = {16, 1, 16};  // four lanes a rank, one aligned block: a stack of three
  check({"mirrored", shape, 2048, 2048, 4096, 2 * 2048, 0, 0});
  shape.zero_stage = 2;
  check({"stage 2", shape, 2048, 512, 1024, 2 * 2048, 0, 2048});
  shape.split = {4, 4, 16};  // as many leaves by accumulation
  check({"accumulation", shape, 2048, 512, 1024, 2 * 2048, 0, 2048});
}

TEST(MemoryPlan, BlocksThatAreManyNeedThreeUnitsOfRoom) {
  const auto model = gpt2(12, 64, 32, 128);
  const UnitPlan units = UnitPlan::make(model, 4);
  const MemoryPlan plan = MemoryPlan::make(shape_of(4, 3), model);
  const std::int64_t expected = 4 * (units.units[0].elements + 2 * units.units[1].elements);
  EXPECT_EQ(plan.most_of(MemoryKind::unit_parameters), expected);
  EXPECT_EQ(plan.most_of(MemoryKind::unit_gradients), expected);
  EXPECT_EQ(plan.at(MemoryKind::unit_parameters, MemoryPhase::update), 0);
}

TEST(MemoryPlan, UnitsThatStayWholeAfterForwardNeedRoom) {
  TrainingShape shape = shape_of(4, 3);
  const auto model = gpt2(12, 64, 32, 128);
  const UnitPlan units = UnitPlan::make(model, 4);
  const std::int64_t root = units.units[0].elements;
  const std::int64_t block = units.units[1].elements;
  shape.reshard_group = 1;
  EXPECT_EQ(MemoryPlan::make(shape, model).most_of(MemoryKind::unit_parameters), 4 * (root + 12 * block));
  shape.reshard_group = 2;
  EXPECT_EQ(MemoryPlan::make(shape, model).most_of(MemoryKind::unit_parameters), 4 * (root + 2 * block + 6 * block));
}

TEST(MemoryPlan, ANarrowCopyOfTheParametersComesToTheMasters) {
  TrainingShape shape = shape_of(4, 3, true);
  shape.parameter_bytes = 2;
  EXPECT_EQ(MemoryPlan::make(shape, small_model()).most_of(MemoryKind::parameters), (4 + 2) * 512);
  shape.mapped = false;
  EXPECT_EQ(MemoryPlan::make(shape, small_model()).most_of(MemoryKind::parameters), (4 + 2) * 512);
  EXPECT_EQ(MemoryPlan::make(shape, small_model()).most_of(MemoryKind::unit_parameters), 2 * 2048);
  shape.zero_stage = 2;
  EXPECT_EQ(MemoryPlan::make(shape, small_model()).most_of(MemoryKind::parameters), 2 * 2048 + 4 * 512);
}

TEST(MemoryPlan, OffloadedMastersLieApart) {
  TrainingShape shape = shape_of(4, 3, true);
  shape.separate_masters = true;
  EXPECT_EQ(MemoryPlan::make(shape, small_model()).most_of(MemoryKind::parameters), 8 * 512);
}

TEST(MemoryPlan, HybridGroupsShardByTheGroup) {
  TrainingShape shape = shape_of(4, 3, true);
  shape.shard_group = 2;
  check({"2 x 2", shape, 1024, 1024, 2048, 0, 0, 2048});
  // Three lanes a rank: rank 1 has a stack of 3, 4, 5 before it adds the last two; a group brings two nodes.
  shape.split = {12, 1, 12};
  check({"2 x 2, 12 lanes", shape, 1024, 1024, 2048, 2 * 2048 + 1024, 0, 2048});
}

TEST(MemoryPlan, RanksBeyondTheRowsDoNotShrinkTheLargestShare) {
  const std::vector<PlannedParameter> model = {{"w", {3, 16}}};
  EXPECT_EQ(MemoryPlan::make(shape_of(7, 3, true), model).most_of(MemoryKind::parameters), 4 * 16);
}

TEST(MemoryPlan, AFrozenParameterHasNoGradientButAState) {
  std::vector<PlannedParameter> model = small_model();
  model[0].dense_gradient = false;
  const MemoryPlan plan = MemoryPlan::make(shape_of(4, 0), model);
  EXPECT_EQ(plan.most_of(MemoryKind::parameters), 4 * 2048);
  EXPECT_EQ(plan.most_of(MemoryKind::gradients), 4 * 1024);
  EXPECT_EQ(plan.most_of(MemoryKind::optimizer_state), 8 * 2048);
}

TEST(MemoryPlan, ActivationsCountInTheirPhase) {
  const MemoryPlan plan = MemoryPlan::make(shape_of(4, 0), small_model(), {1000, 70000, 0, 500});
  EXPECT_EQ(plan.at(MemoryKind::activations, MemoryPhase::forward), 1000);
  EXPECT_EQ(plan.at(MemoryKind::activations, MemoryPhase::backward), 70000);
  EXPECT_EQ(plan.at(MemoryKind::activations, MemoryPhase::update), 0);
  EXPECT_EQ(plan.peak_phase(), MemoryPhase::backward);
  EXPECT_EQ(plan.peak(), 4 * 2048 * 4 + 70000 + 500);
}

TEST(MemoryPlan, WhatTheAllocatorHasReservedStays) {
  const MemoryPlan plan = MemoryPlan::make(shape_of(4, 0), small_model(), {1000, 70000, 80000, 500});
  EXPECT_EQ(plan.at(MemoryKind::other, MemoryPhase::forward), 79500);
  EXPECT_EQ(plan.at(MemoryKind::other, MemoryPhase::backward), 10500);
  EXPECT_EQ(plan.at(MemoryKind::other, MemoryPhase::between_steps), 80500);
  EXPECT_EQ(plan.peak(), 4 * 2048 * 4 + 80000 + 500);
}

// Figure 1 of the paper, in f32 throughout, for GPT-2 124M with Adam.
TEST(MemoryPlan, FollowsTheFormulasOfZeroWithinOnePercent) {
  const auto model = gpt2(12, 768, 1024, 50257);
  const auto p = static_cast<double>(kGpt2Parameters);
  for (const int n : {1, 2, 4, 8}) {
    const auto persistent = [&](int stage, bool mapped) {
      return static_cast<double>(MemoryPlan::make(shape_of(n, stage, mapped), model).persistent());
    };
    EXPECT_NEAR(persistent(0, false), 16 * p, 0.01 * 16 * p);
    EXPECT_NEAR(persistent(1, false), 8 * p + 8 * p / n, 0.01 * p);
    EXPECT_NEAR(persistent(2, false), 4 * p + 12 * p / n, 0.01 * p);
    EXPECT_NEAR(persistent(3, false), 16 * p / n, 0.01 * 16 * p / n);
    EXPECT_NEAR(persistent(3, true), 16 * p / n, 0.01 * 16 * p / n);
  }
}

TEST(MemoryPlan, RefusesWhatCannotBe) {
  TrainingShape shape = shape_of(4, 3);
  shape.shard_group = 3;
  EXPECT_THROW(MemoryPlan::make(shape, small_model()), Error);
  shape.shard_group = 0;
  shape.zero_stage = 4;
  EXPECT_THROW(MemoryPlan::make(shape, small_model()), Error);
  shape.zero_stage = 3;
  shape.split = {3, 1, 3};
  EXPECT_THROW(MemoryPlan::make(shape, small_model()), Error);
}

}  // namespace
}  // namespace trireme::sharding
