#include "trireme/sharding/variable_partition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/error_of.h"

namespace trireme::sharding {
namespace {

using testing::HasSubstr;

TEST(VariablePartition, FixedShardsCutsEveryVariableButNeverARow) {
  EXPECT_EQ(pieces_of({10, 4}, FixedShards{3}), 3);
  EXPECT_EQ(pieces_of({2, 1000}, FixedShards{3}), 2);
  EXPECT_EQ(pieces_of({}, FixedShards{3}), 1);
  EXPECT_EQ(pieces_of({0, 5}, FixedShards{3}), 0);
}

// The examples of TensorFlow's documentation, in f32: MinSizePartitioner(min_shard_bytes=4, max_shards=2) of [6, 1],
// and MaxSizePartitioner(max_shard_bytes=4) of [6, 1].
TEST(VariablePartition, MinSizeAndMaxSizeCutAsTensorFlowDoes) {
  EXPECT_EQ(pieces_of({6, 1}, MinSize{4, 2}), 2);
  EXPECT_EQ(pieces_of({6, 1}, MinSize{4, 10}), 6);
  EXPECT_EQ(pieces_of({6, 1}, MinSize{256 << 10, 10}), 1);
  EXPECT_EQ(pieces_of({6, 1}, MaxSize{4, 0}), 6);
  EXPECT_EQ(pieces_of({6, 1}, MaxSize{8, 0}), 3);
  EXPECT_EQ(pieces_of({6, 1}, MaxSize{1 << 20, 0}), 1);
  EXPECT_EQ(pieces_of({6, 1}, MaxSize{4, 2}), 2);
  EXPECT_EQ(pieces_of({6, 100}, MaxSize{4, 0}), 6) << "a row is never cut";
}

TEST(VariablePartition, LargerPiecesComeFirstAndEachGoesToTheServerWithTheFewestBytes) {
  const std::vector<Shape> variables{{7, 2}, {100}, {3}};
  EXPECT_EQ(partition_variables(variables, 2, FixedShards{3}), (std::vector<VariablePiece>{{0, 0, {0, 3}},
                                                                                           {0, 1, {3, 5}},
                                                                                           {0, 1, {5, 7}},
                                                                                           {1, 0, {0, 34}},
                                                                                           {1, 1, {34, 67}},
                                                                                           {1, 0, {67, 100}},
                                                                                           {2, 1, {0, 1}},
                                                                                           {2, 1, {1, 2}},
                                                                                           {2, 1, {2, 3}}}));
}

TEST(VariablePartition, EveryRowHasOneServerForAnyPartitionerAndNumberOfServers) {
  const std::vector<Shape> variables{{50257, 24}, {24}, {}, {3, 5, 7}, {0, 9}, {1000003}};
  const std::vector<Partitioner> partitioners{FixedShards{1}, FixedShards{5}, MinSize{1000, 4}, MaxSize{4096, 0},
                                              MaxSize{100, 6}};
  for (const Partitioner& partitioner : partitioners) {
    for (int servers = 1; servers <= 4; ++servers) {
      std::map<int, std::int64_t> next;
      for (const VariablePiece& piece : partition_variables(variables, servers, partitioner)) {
        EXPECT_EQ(piece.rows.begin, next[piece.variable]);
        EXPECT_GT(piece.rows.size(), 0);
        EXPECT_LT(piece.server, servers);
        next[piece.variable] = piece.rows.end;
      }
      for (std::size_t v = 0; v < variables.size(); ++v) {
        EXPECT_EQ(next[static_cast<int>(v)], row_count(variables[v]));
      }
    }
  }
}

TEST(VariablePartition, LimitsThatAreNotPositiveAreRefused) {
  EXPECT_THAT(test::error_of([] { (void)pieces_of({3}, FixedShards{0}); }), HasSubstr("0 shards given"));
  EXPECT_THAT(test::error_of([] { (void)pieces_of({3}, MinSize{0, 1}); }), HasSubstr("1 or more of both"));
  EXPECT_THAT(test::error_of([] { (void)pieces_of({3}, MaxSize{0, 1}); }), HasSubstr("MaxSize"));
  EXPECT_THAT(test::error_of([] { (void)partition_variables({}, 0, FixedShards{1}); }), HasSubstr("0 servers"));
}

}  // namespace
}  // namespace trireme::sharding
