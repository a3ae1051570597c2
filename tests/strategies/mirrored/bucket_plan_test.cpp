// The bucket plan as a table.
#include "trireme/strategies/mirrored/bucket_plan.h"

#include <gtest/gtest.h>

namespace trireme::strategies {
namespace {

TEST(BucketPlan, ClosesTheFirstBucketEarlyAndTheOthersAtTheirLimit) {
  const std::vector<std::int64_t> counts = {16, 16, 16, 16, 16, 16};
  const std::vector<std::size_t> order = {5, 4, 3, 2, 1, 0};
  const auto buckets = plan_buckets(counts, order, 4, 64, 128);
  ASSERT_EQ(buckets.size(), 4u);
  EXPECT_EQ(buckets[0].entries.size(), 1u);
  EXPECT_EQ(buckets[0].entries[0].parameter, 5u);
  EXPECT_EQ(buckets[1].entries.size(), 2u);
  EXPECT_EQ(buckets[2].entries.size(), 2u);
  EXPECT_EQ(buckets[3].entries.size(), 1u);
  EXPECT_EQ(buckets[3].entries[0].parameter, 0u);
}

TEST(BucketPlan, OffsetsAreWholeCacheLines) {
  const std::vector<std::int64_t> counts = {1, 17, 3};
  const std::vector<std::size_t> order = {0, 1, 2};
  const auto buckets = plan_buckets(counts, order, 4, 1 << 20, 1 << 20);
  ASSERT_EQ(buckets.size(), 1u);
  EXPECT_EQ(buckets[0].entries[1].offset, 16);
  EXPECT_EQ(buckets[0].entries[2].offset, 48);
  EXPECT_EQ(buckets[0].elements, 64);
}

TEST(BucketPlan, EmptyParametersAndOversizedOnesHaveAPlace) {
  const std::vector<std::int64_t> counts = {0, 1000, 0};
  const std::vector<std::size_t> order = {2, 1, 0};
  const auto buckets = plan_buckets(counts, order, 4, 64, 64);
  std::size_t entries = 0;
  for (const Bucket& bucket : buckets) {
    entries += bucket.entries.size();
  }
  EXPECT_EQ(entries, 3u);
  EXPECT_EQ(buckets[0].elements, 1008);
}

}  // namespace
}  // namespace trireme::strategies
