// Two levels of reduction are the one tree, addition by addition: for every world, group, number of lanes and batch.
#include "trireme/sharding/hybrid_groups.h"

#include <gtest/gtest.h>

#include <bit>
#include <string>

#include "trireme/core/base/error.h"
#include "trireme/sharding/lane_plan.h"

namespace trireme::sharding {
namespace {

// A sum with its history: the float that training would have, and which additions made it.
struct Sum {
  float value = 0;
  std::string history;
};

Sum operator+(const Sum& left, const Sum& right) {
  return {left.value + right.value, "(" + left.history + "+" + right.history + ")"};
}

bool same(const Sum& a, const Sum& b) {
  return std::bit_cast<std::uint32_t>(a.value) == std::bit_cast<std::uint32_t>(b.value) && a.history == b.history;
}

// Of very different sizes and both signs, some of them -0, so that any other order of additions gives other bits.
Sum value_of_leaf(std::int64_t leaf) {
  const std::uint32_t bits = static_cast<std::uint32_t>(leaf) * 2654435761u;
  const float size = std::bit_cast<float>(0x3f800000u | (bits >> 9));
  const float value = leaf % 5 == 4 ? -0.0F : size * static_cast<float>(1 << (bits % 20)) * (bits % 3 == 0 ? -1 : 1);
  return {value, std::to_string(leaf)};
}

// The tree from its definition: one level, no ranks.
Sum one_level(const BatchSplit& split, Subtree node) {
  if (node.size() == 1) {
    return split.items_of(node.begin) > 0 ? value_of_leaf(node.begin) : Sum{};
  }
  const std::int64_t middle = split_point(node);
  const Sum left = one_level(split, {node.begin, middle});
  const Sum right = one_level(split, {middle, node.end});
  return left.history.empty() ? right : right.history.empty() ? left : left + right;
}

// What the rank has on its stack after its last leaf, with the nodes they are the sums of.
std::vector<std::pair<Subtree, Sum>> parts_of_rank(const BatchSplit& split, int rank, int world) {
  const LanePlan plan = LanePlan::make(split, rank, world);
  std::vector<Sum> stack;
  for (const LanePlan::Leaf& leaf : plan.leaves) {
    stack.push_back(value_of_leaf(leaf.leaf));
    for (int i = 0; i < leaf.merges; ++i) {
      const Sum newer = stack.back();
      stack.pop_back();
      stack.back() = stack.back() + newer;
    }
  }
  std::vector<std::pair<Subtree, Sum>> parts;
  for (std::size_t i = 0; i < plan.parts.size(); ++i) {
    parts.emplace_back(plan.parts[i], stack[i]);
  }
  return parts;
}

// As a communicator does it: parts in rank order, additions by the plan, the result where the last addition wrote.
Sum reduce(const std::vector<std::vector<Subtree>>& layout, std::vector<Sum> slots, std::int64_t leaves) {
  std::vector<Subtree> nodes;
  for (const auto& of_rank : layout) {
    nodes.insert(nodes.end(), of_rank.begin(), of_rank.end());
  }
  EXPECT_EQ(nodes.size(), slots.size());
  const std::vector<Addition> plan = reduction_plan(nodes, leaves);
  for (const Addition& add : plan) {
    Sum& target = slots[static_cast<std::size_t>(add.target)];
    target = target + slots[static_cast<std::size_t>(add.source)];
  }
  return slots.empty() ? Sum{} : slots[plan.empty() ? 0 : static_cast<std::size_t>(plan.back().target)];
}

// The nodes that the group brings, each with its value as the ranks of the group reduce it.
std::vector<Sum> reduce_inside(const BatchSplit& split, const HybridGroups& groups, int group) {
  const TwoLevelReduction reduction = TwoLevelReduction::make(split, groups, group);
  std::vector<Sum> sums;
  for (const GroupReduction& inside : reduction.inside) {
    std::vector<Sum> slots;
    for (int place = 0; place < groups.group_size; ++place) {
      for (const auto& [node, sum] : parts_of_rank(split, groups.rank_at(group, place), groups.world_size)) {
        if (inside.subtree.begin <= node.begin && node.end <= inside.subtree.end) {
          slots.push_back(sum);
        }
      }
    }
    sums.push_back(reduce(inside.parts_of_place, std::move(slots), reduction.leaves));
    EXPECT_TRUE(same(sums.back(), one_level(split, inside.subtree)));
  }
  return sums;
}

Sum two_levels(const BatchSplit& split, const HybridGroups& groups) {
  std::vector<Sum> slots;
  for (int group = 0; group < groups.groups(); ++group) {
    for (Sum& sum : reduce_inside(split, groups, group)) {
      slots.push_back(std::move(sum));
    }
  }
  const TwoLevelReduction reduction = TwoLevelReduction::make(split, groups, 0);
  return reduce(reduction.of_groups, std::move(slots), reduction.leaves);
}

TEST(HybridGroups, TwoLevelsAreTheOneTreeForEveryWorldGroupAndBatch) {
  int cases = 0;
  for (std::int64_t lanes = 1; lanes <= 13; ++lanes) {
    for (const std::int64_t accumulate : {1, 3}) {
      for (const std::int64_t items : {lanes * accumulate * 2, lanes + 1, lanes / 2 + 1, std::int64_t{1}}) {
        const BatchSplit split{lanes, accumulate, items};
        const Sum expected = one_level(split, {0, split.leaves()});
        for (int world = 1; world <= lanes; ++world) {
          for (int size = 1; size <= world; ++size) {
            if (world % size == 0) {
              ++cases;
              ASSERT_TRUE(same(two_levels(split, HybridGroups::make(world, size)), expected))
                  << world << " ranks in groups of " << size << ", " << lanes << "x" << accumulate << " lanes, "
                  << items << " items";
            }
          }
        }
      }
    }
  }
  EXPECT_GT(cases, 1500);
}

TEST(HybridGroups, SevenRanksWithTwelveLanesAreOneGroupOrSeven) {
  const BatchSplit split{12, 1, 12};
  const TwoLevelReduction one = TwoLevelReduction::make(split, HybridGroups::make(7, 0), 0);
  ASSERT_EQ(one.inside.size(), 1u);
  EXPECT_EQ(one.inside[0].subtree, (Subtree{0, 12}));
  EXPECT_EQ(one.inside[0].parts_of_place[6], (std::vector<Subtree>{{11, 12}}));
  EXPECT_EQ(one.of_groups, (std::vector<std::vector<Subtree>>{{{0, 12}}}));
  const TwoLevelReduction seven = TwoLevelReduction::make(split, HybridGroups::make(7, 1), 4);
  EXPECT_EQ(seven.of_groups.size(), 7u);
  EXPECT_EQ(seven.of_groups[4], (std::vector<Subtree>{{8, 10}}));
}

TEST(HybridGroups, UnevenGroupsBringSeveralNodes) {
  // 12 lanes on 4 ranks, 3 each: the groups' halves are [0, 6) and [6, 12) of a tree that splits at 8.
  const BatchSplit split{12, 1, 12};
  const TwoLevelReduction first = TwoLevelReduction::make(split, HybridGroups::make(4, 2), 0);
  EXPECT_EQ(first.of_groups, (std::vector<std::vector<Subtree>>{{{0, 4}, {4, 6}}, {{6, 8}, {8, 12}}}));
  ASSERT_EQ(first.inside.size(), 2u);
  EXPECT_EQ(first.inside[0].parts_of_place, (std::vector<std::vector<Subtree>>{{{0, 2}, {2, 3}}, {{3, 4}}}));
  EXPECT_EQ(first.inside[1].parts_of_place, (std::vector<std::vector<Subtree>>{{}, {{4, 6}}}));
}

TEST(HybridGroups, AGroupWithoutItemsBringsNothing) {
  const TwoLevelReduction last = TwoLevelReduction::make({4, 1, 2}, HybridGroups::make(4, 2), 1);
  EXPECT_TRUE(last.inside.empty());
  EXPECT_EQ(last.of_groups, (std::vector<std::vector<Subtree>>{{{0, 2}}, {}}));
}

TEST(HybridGroups, NeighboursShareRowsAndEqualPlacesAreReplicas) {
  const HybridGroups groups = HybridGroups::make(6, 3);
  EXPECT_EQ(groups.groups(), 2);
  EXPECT_EQ(groups.shard_group(1), (std::vector<int>{3, 4, 5}));
  EXPECT_EQ(groups.replica_group(1), (std::vector<int>{1, 4}));
  EXPECT_EQ(groups.group_of(4), 1);
  EXPECT_EQ(groups.place_of(4), 1);
  EXPECT_EQ(groups.rank_at(1, 1), 4);
  EXPECT_EQ(HybridGroups::make(5, 0).group_size, 5);
}

TEST(HybridGroups, AGroupThatDoesNotDivideTheWorldIsRefused) {
  for (const int size : {3, 5, 8, -1}) {
    try {
      HybridGroups::make(4, size);
      ADD_FAILURE() << size;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_NE(std::string(error.what()).find("--shard-group " + std::to_string(size) + " given for 4 ranks"),
                std::string::npos)
          << error.what();
    }
  }
}

}  // namespace
}  // namespace trireme::sharding
