// Rows are cut as torch.chunk cuts dim 0, for every number of rows and ranks.
#include "trireme/sharding/shard_rows.h"

#include <gtest/gtest.h>

#include "trireme/core/base/error.h"

namespace trireme::sharding {
namespace {

using Offsets = std::vector<std::int64_t>;

// torch.chunk: pieces of ceil(rows / size) until the rows are used up.
std::vector<RowRange> chunks(std::int64_t rows, int size) {
  const std::int64_t piece = rows / size + (rows % size != 0);
  std::vector<RowRange> out;
  std::int64_t taken = 0;
  for (int rank = 0; rank < size; ++rank) {
    const std::int64_t mine = rows - taken < piece ? rows - taken : piece;
    out.push_back({taken, taken + mine});
    taken += mine;
  }
  return out;
}

TEST(ShardRows, EveryRowHasTheOwnerThatChunkGivesIt) {
  for (std::int64_t rows = 0; rows <= 40; ++rows) {
    for (int size = 1; size <= 9; ++size) {
      const std::vector<RowRange> expected = chunks(rows, size);
      for (int rank = 0; rank < size; ++rank) {
        const RowRange range = rows_of(rows, rank, size);
        EXPECT_EQ(range, expected[static_cast<std::size_t>(rank)]) << rows << " rows, rank " << rank << " of " << size;
        for (std::int64_t row = range.begin; row < range.end; ++row) {
          EXPECT_EQ(owner_of_row(rows, row, size), rank);
        }
      }
    }
  }
}

TEST(ShardRows, LaterRanksOwnFewerRowsOrNone) {
  EXPECT_EQ(rows_of(10, 0, 4), (RowRange{0, 3}));
  EXPECT_EQ(rows_of(10, 3, 4), (RowRange{9, 10}));
  EXPECT_EQ(rows_of(5, 2, 4), (RowRange{4, 5}));
  EXPECT_EQ(rows_of(5, 3, 4), (RowRange{5, 5}));
  EXPECT_EQ(rows_of(2, 1, 7), (RowRange{1, 2}));
  EXPECT_EQ(rows_of(2, 6, 7), (RowRange{2, 2}));
  EXPECT_EQ(rows_of(0, 1, 2), (RowRange{0, 0}));
}

TEST(ShardRows, OffsetsCountElementsOfWholeRows) {
  EXPECT_EQ(row_offsets({257, 66}, 4), (Offsets{0, 65 * 66, 130 * 66, 195 * 66, 257 * 66}));
  EXPECT_EQ(row_offsets({10}, 4), (Offsets{0, 3, 6, 9, 10}));
  EXPECT_EQ(row_offsets({2, 3, 5}, 3), (Offsets{0, 15, 30, 30}));
  EXPECT_EQ(row_offsets({3, 0}, 2), (Offsets{0, 0, 0}));
}

TEST(ShardRows, AScalarIsOneRowAndNoRowsGiveNoElements) {
  EXPECT_EQ(row_count({}), 1);
  EXPECT_EQ(row_offsets({}, 3), (Offsets{0, 1, 1, 1}));
  EXPECT_EQ(row_count({0, 4}), 0);
  EXPECT_EQ(row_offsets({0, 4}, 2), (Offsets{0, 0, 0}));
}

TEST(ShardRows, RefusesARankThatIsNotThere) {
  EXPECT_THROW(rows_of(4, 2, 2), Error);
  EXPECT_THROW(rows_of(4, -1, 2), Error);
  EXPECT_THROW(rows_of(4, 0, 0), Error);
  EXPECT_THROW(rows_of(-1, 0, 1), Error);
}

}  // namespace
}  // namespace trireme::sharding
