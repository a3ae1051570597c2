#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/support/error_of.h"
#include "trireme/core/base/random.h"
#include "trireme/strategies/parameter_server/clocks/lane_parts.h"
#include "trireme/strategies/parameter_server/clocks/request_ledger.h"
#include "trireme/strategies/parameter_server/clocks/staleness_clock.h"
#include "trireme/strategies/parameter_server/server/part_sum.h"

namespace trireme::strategies::parameter_server {
namespace {

using testing::HasSubstr;
using Verdict = RequestLedger::Verdict;

TEST(RequestLedger, ARequestIsDueOnceAndInOrder) {
  RequestLedger ledger(2);
  EXPECT_EQ(ledger.judge(1, 1, 1), Verdict::stranger);
  EXPECT_TRUE(ledger.open(1, 1));
  EXPECT_EQ(ledger.judge(1, 1, 2), Verdict::early);
  EXPECT_EQ(ledger.judge(1, 1, 1), Verdict::next);
  ledger.settle(1);
  EXPECT_EQ(ledger.judge(1, 1, 1), Verdict::duplicate);
  EXPECT_EQ(ledger.judge(1, 1, 2), Verdict::next);
  EXPECT_EQ(ledger.judge(0, 1, 1), Verdict::stranger) << "each worker has numbers of its own";
}

TEST(RequestLedger, ANewLifeShutsTheOldOneOutAndADeadOneDoesNotComeBack) {
  RequestLedger ledger(1);
  EXPECT_TRUE(ledger.open(0, 1));
  ledger.settle(0);
  EXPECT_TRUE(ledger.open(0, 1)) << "hello again, after a broken connection";
  EXPECT_EQ(ledger.settled(0), 1u);
  EXPECT_TRUE(ledger.open(0, 2));
  EXPECT_EQ(ledger.judge(0, 1, 2), Verdict::fenced);
  EXPECT_EQ(ledger.judge(0, 2, 1), Verdict::next);
  EXPECT_FALSE(ledger.open(0, 1));
  ledger.close(0);
  EXPECT_EQ(ledger.judge(0, 2, 1), Verdict::fenced);
  EXPECT_FALSE(ledger.open(0, 2));
  EXPECT_TRUE(ledger.open(0, 3));
}

TEST(StalenessClock, NobodyIsFurtherAheadOfTheSlowestThanTheBound) {
  StalenessClock clock(2, 2);
  for (std::int64_t step = 0; step < 2; ++step) {
    EXPECT_TRUE(clock.may_start(step));
    clock.finish(0, step);
  }
  EXPECT_TRUE(clock.may_start(2));
  EXPECT_FALSE(clock.may_start(3));
  clock.finish(1, 0);
  EXPECT_TRUE(clock.may_start(3));
}

TEST(StalenessClock, TheDeadHoldNobodyBackAndANewLifeBeginsWhereTheSlowestIs) {
  StalenessClock clock(3, 0);
  clock.finish(0, 0);
  clock.finish(1, 0);
  EXPECT_FALSE(clock.may_start(1));
  clock.leave(2);
  EXPECT_TRUE(clock.may_start(1));
  clock.finish(0, 1);
  EXPECT_EQ(clock.join(2), 1);
  clock.leave(0);
  clock.leave(1);
  clock.leave(2);
  EXPECT_EQ(clock.slowest(), 2);
}

TEST(StalenessClock, WithoutABoundEverybodyMayStart) {
  StalenessClock clock(2, std::nullopt);
  EXPECT_TRUE(clock.may_start(1'000'000));
}

TEST(StalenessClock, AStepIsNotPushedTwice) {
  StalenessClock clock(1, 0);
  clock.finish(0, 0);
  EXPECT_THAT(test::error_of([&] { clock.finish(0, 0); }), HasSubstr("has pushed step 0 when step 1 was expected"));
}

TEST(LaneParts, ANodeStandsForItsParentWhereTheRestIsAbsent) {
  const LaneParts tree({8, 1, 5});  // leaves 5, 6, 7 are absent
  EXPECT_EQ(tree.canonical({4, 5}), (Subtree{4, 8}));
  EXPECT_EQ(tree.canonical({0, 2}), (Subtree{0, 2}));
  EXPECT_EQ(tree.sibling({4, 8}), (Subtree{0, 4}));
  EXPECT_EQ(tree.joined({4, 8}), (Subtree{0, 8}));
  EXPECT_EQ(tree.sibling({0, 8}), std::nullopt);
  EXPECT_THAT(test::error_of([&] { (void)tree.canonical({5, 6}); }), HasSubstr("no items"));
  EXPECT_THAT(test::error_of([&] { (void)tree.canonical({1, 3}); }), HasSubstr("no node"));
  EXPECT_THAT(test::error_of([&] { (void)tree.canonical({7, 9}); }), HasSubstr("no node"));
}

// The canonical sum in its own words: left + right, absent leaves skipped.
std::vector<float> tree_sum(const std::vector<std::vector<float>>& leaves, const BatchSplit& split, Subtree node) {
  if (node.size() == 1) {
    return split.items_of(node.begin) > 0 ? leaves[static_cast<std::size_t>(node.begin)] : std::vector<float>{};
  }
  const std::int64_t middle = split_point(node);
  std::vector<float> left = tree_sum(leaves, split, {node.begin, middle});
  const std::vector<float> right = tree_sum(leaves, split, {middle, node.end});
  if (left.empty() || right.empty()) {
    return left.empty() ? right : left;
  }
  for (std::size_t i = 0; i < left.size(); ++i) {
    left[i] += right[i];
  }
  return left;
}

TEST(PartSum, HasTheBitsOfTheLaneTreeWhateverTheOrderTheCutAndTheRepetitions) {
  for (std::int64_t lanes = 1; lanes <= 7; ++lanes) {
    for (std::int64_t items = 1; items <= lanes; ++items) {
      const BatchSplit split{lanes, 1, items};
      const RandomStream random(3, "lanes", static_cast<std::uint64_t>(lanes), static_cast<std::uint64_t>(items));
      std::vector<std::vector<float>> leaves(static_cast<std::size_t>(lanes), std::vector<float>(5));
      for (std::size_t leaf = 0; leaf < leaves.size(); ++leaf) {
        random.fill_normal(leaf * 5, leaves[leaf]);
      }
      const std::vector<float> expected = tree_sum(leaves, split, {0, lanes});
      std::uint64_t draws = 1000;
      for (int round = 0; round < 20; ++round) {
        std::vector<Subtree> parts;  // as of several worlds at once, in any order
        for (const int size : {1 + round % static_cast<int>(lanes), 1 + round / 3 % static_cast<int>(lanes)}) {
          for (int rank = 0; rank < size; ++rank) {
            std::ranges::copy(split.parts_of(rank, size), std::back_inserter(parts));
          }
        }
        for (std::size_t i = parts.size(); i > 1; --i) {
          std::swap(parts[i - 1], parts[random.below(draws++, i)]);
        }
        const LaneParts tree(split);
        PartSum sum;
        for (const Subtree part : parts) {
          sum.add(tree, part, Array::from(tree_sum(leaves, split, part), {5}));
        }
        ASSERT_TRUE(sum.complete(tree));
        ASSERT_EQ(sum.sum().dense.to_vector<float>(), expected) << lanes << " lanes, " << items << " items";
      }
    }
  }
}

TEST(PartSum, RowsOfSparsePartsAreUnited) {
  const LaneParts tree({2, 1, 2});
  PartSum sum;
  sum.add(tree, {1, 2}, SparseRows{Array::from<std::int64_t>({2, 7}, {2}), Array::from<float>({1, 2, 3, 4}, {2, 2})});
  EXPECT_FALSE(sum.complete(tree));
  sum.add(tree, {0, 1},
          SparseRows{Array::from<std::int64_t>({1, 7, 9}, {3}), Array::from<float>({5, 6, 10, 20, 7, 8}, {3, 2})});
  ASSERT_TRUE(sum.complete(tree));
  EXPECT_EQ(sum.sum().rows.rows.to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 2, 7, 9}));
  EXPECT_EQ(sum.sum().rows.values.to_vector<float>(), (std::vector<float>{5, 6, 1, 2, 13, 24, 7, 8}));
}

TEST(PartSum, APartWithoutRowsCountsAsHere) {
  const LaneParts tree({2, 1, 2});
  PartSum sum;
  sum.add(tree, {0, 1}, SparseRows{Array::empty({0}, DType::i64), Array::empty({0, 2})});
  sum.add(tree, {1, 2}, SparseRows{Array::from<std::int64_t>({4}, {1}), Array::from<float>({1, 2}, {1, 2})});
  ASSERT_TRUE(sum.complete(tree));
  EXPECT_EQ(sum.sum().rows.values.to_vector<float>(), (std::vector<float>{1, 2}));
}

}  // namespace
}  // namespace trireme::strategies::parameter_server
