// The canonical reduction tree: splits, decompositions and plans, against a recursive oracle written from the
// definition.
#include "trireme/core/base/lane_tree.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "trireme/core/base/error.h"

namespace trireme {
namespace {

// The tree as text, straight from the definition: present leaves only.
std::string expression(Subtree node, const std::vector<bool>& present) {
  if (node.size() == 1) {
    return present[static_cast<std::size_t>(node.begin)] ? std::to_string(node.begin) : "";
  }
  std::int64_t half = 1;
  while (2 * half < node.size()) {
    half *= 2;
  }
  const std::string left = expression({node.begin, node.begin + half}, present);
  const std::string right = expression({node.begin + half, node.end}, present);
  return left.empty() ? right : right.empty() ? left : "(" + left + "+" + right + ")";
}

std::string run_plan(std::vector<std::string> slots, const std::vector<Addition>& plan) {
  for (const Addition& add : plan) {
    auto& target = slots[static_cast<std::size_t>(add.target)];
    target = "(" + target + "+" + slots[static_cast<std::size_t>(add.source)] + ")";
  }
  return slots.empty() ? "" : slots[0];
}

TEST(LaneTree, SplitsAtTheLargestPowerOfTwoBelow) {
  EXPECT_EQ(split_point({0, 2}), 1);
  EXPECT_EQ(split_point({0, 8}), 4);
  EXPECT_EQ(split_point({0, 12}), 8);
  EXPECT_EQ(split_point({8, 11}), 10);
}

TEST(LaneTree, LanesGoToRanksInContiguousNearlyEqualRanges) {
  std::vector<std::int64_t> sizes;
  std::int64_t next = 0;
  for (int rank = 0; rank < 7; ++rank) {
    const Subtree range = lanes_of_rank(12, 7, rank);
    EXPECT_EQ(range.begin, next);
    next = range.end;
    sizes.push_back(range.size());
  }
  EXPECT_EQ(next, 12);
  EXPECT_EQ(sizes, (std::vector<std::int64_t>{2, 2, 2, 2, 2, 1, 1}));
}

TEST(LaneTree, FewerLanesThanRanksIsAUsageErrorThatSaysWhatToDo) {
  try {
    lanes_of_rank(2, 3, 0);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("--lanes 3"), std::string::npos) << error.what();
  }
}

TEST(LaneTree, EveryWorldSizeReducesInTheSameOrder) {
  for (std::int64_t lanes = 1; lanes <= 33; ++lanes) {
    const std::string expected = expression({0, lanes}, std::vector<bool>(static_cast<std::size_t>(lanes), true));
    for (int world = 1; world <= lanes; ++world) {
      std::vector<Subtree> parts;
      std::vector<std::string> slots;
      for (int rank = 0; rank < world; ++rank) {
        for (const Subtree& part : maximal_subtrees(lanes_of_rank(lanes, world, rank), lanes)) {
          parts.push_back(part);
          slots.push_back(expression(part, std::vector<bool>(static_cast<std::size_t>(lanes), true)));
          // expression() of a node splits by its own size, as the tree does: nodes are self-similar
        }
      }
      ASSERT_EQ(run_plan(slots, reduction_plan(parts, lanes)), expected) << lanes << " lanes, " << world << " ranks";
    }
  }
}

TEST(LaneTree, AbsentLeavesAreSkipped) {
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    const auto lanes = static_cast<std::int64_t>(1 + random() % 20);
    std::vector<bool> present(static_cast<std::size_t>(lanes));
    std::vector<Subtree> parts;
    std::vector<std::string> slots;
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      present[static_cast<std::size_t>(lane)] = random() % 3 != 0;
      if (present[static_cast<std::size_t>(lane)]) {
        parts.push_back({lane, lane + 1});
        slots.push_back(std::to_string(lane));
      }
    }
    EXPECT_EQ(run_plan(slots, reduction_plan(parts, lanes)), expression({0, lanes}, present));
  }
}

TEST(LaneTree, AnAlignedBlockIsOnePartAndNoRangeNeedsMoreThanTwoLog) {
  EXPECT_EQ(maximal_subtrees({4, 8}, 12).size(), 1u);
  EXPECT_EQ(maximal_subtrees({8, 12}, 12).size(), 1u);
  for (std::int64_t begin = 0; begin < 64; ++begin) {
    for (std::int64_t end = begin + 1; end <= 64; ++end) {
      EXPECT_LE(maximal_subtrees({begin, end}, 64).size(), 12u);
    }
  }
}

TEST(LaneTree, PartsThatAreNotNodesAreRejected) {
  EXPECT_THROW(reduction_plan({{1, 3}}, 4), Error);
  EXPECT_THROW(reduction_plan({{0, 2}, {1, 2}}, 4), Error);
  EXPECT_THROW(reduction_plan({{4, 5}}, 4), Error);
}

}  // namespace
}  // namespace trireme
