// Bytes that a rank sends in a step, computed by hand, and the volumes of the ZeRO paper.
#include "trireme/sharding/traffic_plan.h"

#include <gtest/gtest.h>

#include "tests/sharding/plan_models.h"

namespace trireme::sharding {
namespace {

constexpr std::int64_t kBytes = 4 * 2048;  // of small_model()

TrainingShape shape_of(int ranks, int stage) {
  return {.world_size = ranks, .split = {ranks, 1, ranks}, .zero_stage = stage};
}

TEST(TrafficPlan, OneRankSendsNothing) {
  for (const int stage : {0, 1, 2, 3}) {
    EXPECT_EQ(TrafficPlan::make(shape_of(1, stage), small_model()).total(), 0);
  }
}

TEST(TrafficPlan, VolumesAreThoseOfThePaper) {
  const std::int64_t share = kBytes / 4 * 3;
  EXPECT_EQ(TrafficPlan::make(shape_of(4, 0), small_model()).total(), 2 * share);
  EXPECT_EQ(TrafficPlan::make(shape_of(4, 1), small_model()).total(), 2 * share);
  EXPECT_EQ(TrafficPlan::make(shape_of(4, 2), small_model()).total(), 2 * share);
  // The root, half of the model, is gathered once: it stays whole from forward to backward; so does the last unit.
  EXPECT_EQ(TrafficPlan::make(shape_of(4, 3), small_model()).gathers, share + share / 4);
  EXPECT_EQ(TrafficPlan::make(shape_of(4, 3), small_model()).gradients_inside, share);
}

TEST(TrafficPlan, MappedParametersAreNotGathered) {
  TrainingShape shape = shape_of(4, 3);
  shape.mapped = true;
  EXPECT_EQ(TrafficPlan::make(shape, small_model()).total(), kBytes / 4 * 3);
}

TEST(TrafficPlan, UnitsThatStayWholeAreGatheredOnce) {
  TrainingShape shape = shape_of(4, 3);
  shape.reshard_group = 1;
  EXPECT_EQ(TrafficPlan::make(shape, small_model()).gathers, kBytes / 4 * 3);
  shape.reshard_group = 2;
  EXPECT_EQ(TrafficPlan::make(shape, small_model()).gathers, kBytes / 4 * 3 + kBytes / 4 / 2);
}

TEST(TrafficPlan, EachPassGathersAgainAndLanesAreAddedBeforeTheyTravel) {
  TrainingShape shape = shape_of(4, 3);
  shape.split = {8, 3, 24};
  const std::int64_t share = kBytes / 4 * 3;
  const TrafficPlan plan = TrafficPlan::make(shape, small_model());
  EXPECT_EQ(plan.gathers, 6 * (share + share / 4));
  EXPECT_EQ(plan.gradients_inside, 2 * share);  // six leaves are two nodes of a tree over 24
}

TEST(TrafficPlan, UnevenLanesSendSeveralPartsUnlessTheOrderIsFast) {
  TrainingShape shape = shape_of(2, 0);
  shape.split = {6, 1, 6};  // [0, 2) and 2; 3 and [4, 6)
  EXPECT_EQ(TrafficPlan::make(shape, small_model()).total(), 3 * kBytes / 2);
  shape.fast_order = true;
  EXPECT_EQ(TrafficPlan::make(shape, small_model()).total(), 2 * kBytes / 2);
}

TEST(TrafficPlan, HybridGroupsSendOnlyOwnRowsAcross) {
  TrainingShape shape = shape_of(4, 3);
  shape.shard_group = 2;
  shape.mapped = true;
  const TrafficPlan plan = TrafficPlan::make(shape, small_model());
  EXPECT_EQ(plan.gradients_inside, kBytes / 2);
  EXPECT_EQ(plan.gradients_across, 2 * (kBytes / 2) / 2);
  shape.split = {12, 1, 12};  // a group brings two nodes; inside, {[0,2) 2} {3} and {} {[4,6)}
  const TrafficPlan uneven = TrafficPlan::make(shape, small_model());
  EXPECT_EQ(uneven.gradients_inside, 3 * kBytes / 2);
  EXPECT_EQ(uneven.gradients_across, 3 * (kBytes / 2) / 2);
}

TEST(TrafficPlan, NarrowParametersAreGatheredNarrowAndGradientsStayF32) {
  TrainingShape shape = shape_of(4, 3);
  shape.parameter_bytes = 2;
  const std::int64_t share = kBytes / 2 / 4 * 3;
  EXPECT_EQ(TrafficPlan::make(shape, small_model()).gathers, share + share / 4);
  EXPECT_EQ(TrafficPlan::make(shape, small_model()).gradients_inside, 2 * share);
}

TEST(TrafficPlan, GradientsThatTravelNarrowAreHalfTheBytes) {
  TrainingShape shape = shape_of(4, 3);
  shape.shard_group = 2;
  shape.split = {12, 1, 12};
  shape.fast_order = true;  // one sum a rank
  shape.reduced_bytes = 2;
  const TrafficPlan plan = TrafficPlan::make(shape, small_model());
  EXPECT_EQ(plan.gradients_inside, kBytes / 2 / 2);
  EXPECT_EQ(plan.gradients_across, 2 * (kBytes / 2 / 2) / 2);
}

TEST(TrafficPlan, OfGpt2OverEightRanks) {
  const auto model = gpt2(12, 768, 1024, 50257);
  const double m = 4.0 * kGpt2Parameters * 7 / 8;
  EXPECT_NEAR(static_cast<double>(TrafficPlan::make(shape_of(8, 0), model).total()), 2 * m, 1e-4 * m);
  const auto stage3 = static_cast<double>(TrafficPlan::make(shape_of(8, 3), model).total());
  EXPECT_LT(stage3, 3 * m);
  EXPECT_GT(stage3, 2.5 * m);  // but for the table in the root, and the last block
}

}  // namespace
}  // namespace trireme::sharding
