// The stack of partial sums gives the canonical tree for every split, world size and short batch.
#include "trireme/sharding/lane_plan.h"

#include <gtest/gtest.h>

#include <bit>
#include <string>

namespace trireme::sharding {
namespace {

// The tree over the present leaves as text, from the definition.
std::string expression(const BatchSplit& split, Subtree node) {
  if (node.size() == 1) {
    return split.items_of(node.begin) > 0 ? std::to_string(node.begin) : "";
  }
  const std::int64_t middle = split_point(node);
  const std::string left = expression(split, {node.begin, middle});
  const std::string right = expression(split, {middle, node.end});
  return left.empty() ? right : right.empty() ? left : "(" + left + "+" + right + ")";
}

void run_stack(const LanePlan& plan, std::vector<std::string>& parts_out, std::size_t& deepest) {
  std::vector<std::string> stack;
  for (const LanePlan::Leaf& leaf : plan.leaves) {
    stack.push_back(std::to_string(leaf.leaf));
    deepest = std::max(deepest, stack.size());
    for (int i = 0; i < leaf.merges; ++i) {
      const std::string newer = stack.back();
      stack.pop_back();
      stack.back() = "(" + stack.back() + "+" + newer + ")";
    }
  }
  ASSERT_EQ(stack.size(), plan.parts.size());
  parts_out.insert(parts_out.end(), stack.begin(), stack.end());
}

TEST(LanePlan, AllRanksTogetherAddInTheOrderOfTheTree) {
  for (std::int64_t lanes = 1; lanes <= 17; ++lanes) {
    for (std::int64_t accumulate = 1; accumulate <= 3; ++accumulate) {
      for (const std::int64_t items : {lanes * accumulate * 2, lanes, lanes / 2 + 1, std::int64_t{1}}) {
        const BatchSplit split{lanes, accumulate, items};
        const std::string expected = expression(split, {0, split.leaves()});
        for (int world = 1; world <= lanes; ++world) {
          std::vector<Subtree> parts;
          std::vector<std::string> slots;
          for (int rank = 0; rank < world; ++rank) {
            const LanePlan plan = LanePlan::make(split, rank, world);
            std::size_t deepest = 0;
            run_stack(plan, slots, deepest);
            EXPECT_EQ(deepest, static_cast<std::size_t>(plan.depth));
            parts.insert(parts.end(), plan.parts.begin(), plan.parts.end());
          }
          for (const Addition& add : reduction_plan(parts, split.leaves())) {
            auto& target = slots[static_cast<std::size_t>(add.target)];
            target = "(" + target + "+" + slots[static_cast<std::size_t>(add.source)] + ")";
          }
          ASSERT_EQ(slots.empty() ? "" : slots[0], expected) << lanes << "x" << accumulate << " items " << items;
        }
      }
    }
  }
}

TEST(LanePlan, KeepsAtMostLogTwoPlusOnePartials) {
  for (std::int64_t lanes = 1; lanes <= 64; ++lanes) {
    const LanePlan plan = LanePlan::make({lanes, 1, lanes}, 0, 1);
    EXPECT_LE(plan.depth, std::bit_width(static_cast<std::uint64_t>(lanes - 1)) + 1) << lanes;
    EXPECT_EQ(plan.parts.size(), 1u);
  }
}

TEST(LanePlan, ARankWithoutItemsHasNoPart) {
  const LanePlan plan = LanePlan::make({4, 1, 2}, 1, 2);
  EXPECT_TRUE(plan.leaves.empty());
  EXPECT_TRUE(plan.parts.empty());
  EXPECT_EQ(plan.depth, 0);
}

}  // namespace
}  // namespace trireme::sharding
