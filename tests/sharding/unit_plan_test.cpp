// Parameters go to units by the modules that reach them; buffers lay them side by side on cache lines.
#include "trireme/sharding/unit_plan.h"

#include <gtest/gtest.h>

namespace trireme::sharding {
namespace {

using Parameters = std::vector<PlannedParameter>;

// A tiny GPT: two blocks, a table that the head shares, a final norm.
Parameters tiny() {
  return {{"wte", {257, 66}},
          {"h.0.w", {66, 198}, true, "h.0"},
          {"h.0.b", {198}, true, "h.0"},
          {"h.1.w", {66, 198}, true, "h.1"},
          {"h.1.b", {198}, false, "h.1"},
          {"ln_f", {66}}};
}

TEST(UnitPlan, TheRootComesFirstAndTheOthersInTheOrderOfRegistration) {
  const UnitPlan plan = UnitPlan::make(tiny(), 2);
  ASSERT_EQ(plan.units.size(), 3u);
  EXPECT_EQ(plan.units[0].path, "");
  EXPECT_EQ(plan.units[1].path, "h.0");
  EXPECT_EQ(plan.units[2].path, "h.1");
  EXPECT_EQ(plan.unit_of, (std::vector<std::size_t>{0, 1, 1, 2, 2, 0}));
  EXPECT_EQ(plan.units[0].parameters[1].index, 5u);
}

TEST(UnitPlan, ParametersLieOnCacheLinesOfTheirUnitsBuffer) {
  const UnitPlan plan = UnitPlan::make(tiny(), 2);
  const Unit& root = plan.units[0];
  EXPECT_EQ(root.parameters[0].offset, 0);
  EXPECT_EQ(root.parameters[1].offset, 16976);  // 257 * 66 = 16962
  EXPECT_EQ(root.elements, 16976 + 80);
  const Unit& block = plan.units[1];
  EXPECT_EQ(block.parameters[1].offset, 13072);  // 66 * 198 = 13068
  EXPECT_EQ(block.elements, 13072 + 208);
  EXPECT_EQ(plan.elements(), 17056 + 2 * 13280);
  EXPECT_EQ(plan.pooled_elements(), 17056 + 2 * 13280);
}

TEST(UnitPlan, AFrozenParameterIsGatheredButHasNoGradient) {
  const UnitPlan plan = UnitPlan::make(tiny(), 2);
  const Unit& block = plan.units[2];
  EXPECT_EQ(block.parameters[1].gradient_offset, -1);
  EXPECT_EQ(block.elements, 13280);
  EXPECT_EQ(block.gradient_elements, 13072);
  EXPECT_EQ(plan.pooled_gradient_elements(), 17056 + 13280 + 13072);  // of two sizes
  EXPECT_EQ(plan.gradient_elements(), 17056 + 13280 + 13072);
  EXPECT_EQ(UnitPlan::shard_elements(block, 0), 33 * 198 + 10 + 112);  // 6534 -> 6544, 99 -> 112
  EXPECT_EQ(UnitPlan::shard_gradient_elements(block, 0), 6544);
}

TEST(UnitPlan, RowsAreThoseOfTheShardGroup) {
  const UnitPlan plan = UnitPlan::make(tiny(), 4);
  EXPECT_EQ(plan.units[0].parameters[0].row_offsets,
            (std::vector<std::int64_t>{0, 65 * 66, 130 * 66, 195 * 66, 257 * 66}));
  std::int64_t rows = 0;
  for (int place = 0; place < 4; ++place) {
    rows += UnitPlan::shard_elements(plan.units[0], place);
  }
  EXPECT_GE(rows, 257 * 66 + 66);
}

TEST(UnitPlan, WithoutUnitModulesEverythingIsTheRoot) {
  const UnitPlan plan = UnitPlan::make(Parameters{{"w", {3, 5}}, {"scalar", {}}}, 2);
  ASSERT_EQ(plan.units.size(), 1u);
  EXPECT_EQ(plan.units[0].elements, 32);
  EXPECT_EQ(UnitPlan::shard_elements(plan.units[0], 0), 16 + 16);
  EXPECT_EQ(UnitPlan::shard_elements(plan.units[0], 1), 16);
  EXPECT_EQ(plan.pooled_elements(), 32);
}

TEST(UnitPlan, ManyEqualUnitsShareTwoBuffers) {
  std::vector<PlannedParameter> parameters = {{"root", {16}}};
  for (const char* unit : {"a", "b", "c", "d"}) {
    parameters.push_back({std::string(unit) + ".w", {64}, true, unit});
  }
  EXPECT_EQ(UnitPlan::make(parameters, 2).pooled_elements(), 16 + 2 * 64);
  parameters.push_back({"e.w", {128}, true, "e"});
  parameters.push_back({"f.w", {64}, true, "f"});
  EXPECT_EQ(UnitPlan::make(parameters, 2).pooled_elements(), 16 + 2 * 64 + 128);
}

TEST(UnitPlan, AnEmptyRootStaysTheFirstUnit) {
  const UnitPlan plan = UnitPlan::make(Parameters{{"b.w", {3, 5}, true, "b"}}, 2);
  ASSERT_EQ(plan.units.size(), 2u);
  EXPECT_TRUE(plan.units[0].parameters.empty());
  EXPECT_EQ(plan.units[0].elements, 0);
}

}  // namespace
}  // namespace trireme::sharding
