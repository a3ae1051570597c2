// How a global batch is cut into leaves: sizes, positions, ranks, against the rule stated in the header.
#include "trireme/core/base/batch_split.h"

#include <gtest/gtest.h>

#include <numeric>

namespace trireme {
namespace {

std::vector<std::int64_t> sizes(const BatchSplit& split) {
  std::vector<std::int64_t> out;
  for (std::int64_t leaf = 0; leaf < split.leaves(); ++leaf) {
    out.push_back(split.items_of(leaf));
  }
  return out;
}

TEST(BatchSplit, AFullBatchGivesEveryLeafTheSame) {
  EXPECT_EQ(sizes({.lanes = 4, .accumulate = 2, .items = 24}), (std::vector<std::int64_t>(8, 3)));
}

TEST(BatchSplit, AShortBatchGoesToFirstLanesFirstAndWithinALaneToFirstMicroBatches) {
  EXPECT_EQ(sizes({.lanes = 4, .items = 6}), (std::vector<std::int64_t>{2, 2, 1, 1}));
  EXPECT_EQ(sizes({.lanes = 4, .items = 2}), (std::vector<std::int64_t>{1, 1, 0, 0}));
  EXPECT_EQ(sizes({.lanes = 2, .accumulate = 2, .items = 5}), (std::vector<std::int64_t>{2, 1, 1, 1}));
  EXPECT_EQ(sizes({.lanes = 2, .accumulate = 3, .items = 3}), (std::vector<std::int64_t>{1, 1, 0, 1, 0, 0}));
}

TEST(BatchSplit, LeavesLieBehindEachOtherAndCoverTheBatch) {
  for (std::int64_t lanes = 1; lanes <= 7; ++lanes) {
    for (std::int64_t accumulate = 1; accumulate <= 3; ++accumulate) {
      for (std::int64_t items = 0; items <= 25; ++items) {
        const BatchSplit split{lanes, accumulate, items};
        std::int64_t next = 0;
        for (std::int64_t leaf = 0; leaf < split.leaves(); ++leaf) {
          ASSERT_EQ(split.begin_of(leaf), next);
          next += split.items_of(leaf);
        }
        ASSERT_EQ(next, items);
      }
    }
  }
}

TEST(BatchSplit, RanksOwnAllLeavesOnceInOrder) {
  const BatchSplit split{.lanes = 12, .accumulate = 2, .items = 24};
  for (int size = 1; size <= 12; ++size) {
    std::int64_t next = 0;
    for (int rank = 0; rank < size; ++rank) {
      const Subtree range = split.leaves_of(rank, size);
      EXPECT_EQ(range.begin, next);
      EXPECT_EQ(range.begin % 2, 0) << "a lane's micro-batches stay together";
      next = range.end;
    }
    EXPECT_EQ(next, 24);
  }
}

TEST(BatchSplit, PartsWithoutItemsAreAbsent) {
  const BatchSplit split{.lanes = 8, .items = 3};
  EXPECT_EQ(split.parts_of(0, 2), (std::vector<Subtree>{{0, 4}}));
  EXPECT_TRUE(split.parts_of(1, 2).empty());
  EXPECT_TRUE(split.parts_of(3, 8).empty());
  EXPECT_EQ(split.parts_of(2, 8).size(), 1u);
}

}  // namespace
}  // namespace trireme
