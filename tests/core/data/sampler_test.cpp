// The order of items: pure, complete, and cut into lanes that cover each batch exactly once for every world size.
#include "trireme/core/data/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "trireme/core/base/batch_split.h"

namespace trireme::data {
namespace {

std::vector<std::int64_t> batch_of(const Sampler& sampler, std::int64_t step) {
  std::vector<std::int64_t> items(static_cast<std::size_t>(sampler.items_of(step)));
  sampler.fill(step, 0, items);
  return items;
}

TEST(Sampler, SequentialIsExactlyTheDocumentedFormula) {
  const Sampler sampler{10, 4, Order::sequential, 0};
  for (std::int64_t step = 0; step < 20; ++step) {
    const std::vector<std::int64_t> items = batch_of(sampler, step);
    ASSERT_EQ(items.size(), 4u);
    for (std::int64_t i = 0; i < 4; ++i) {
      EXPECT_EQ(items[static_cast<std::size_t>(i)], (step * 4 + i) % 10);
    }
  }
}

TEST(Sampler, SequentialStaysExactForHugeSteps) {
  const Sampler sampler{7, 1 << 20, Order::sequential, 0};
  const std::int64_t step = std::int64_t{1} << 50;
  std::vector<std::int64_t> item(1);
  sampler.fill(step, 3, item);
  EXPECT_EQ(item[0], static_cast<std::int64_t>((static_cast<unsigned __int128>(step) * (1 << 20) + 3) % 7));
}

TEST(Sampler, AShuffledEpochHasEveryItemOnceAndAShortLastBatch) {
  const Sampler sampler{103, 10, Order::shuffled, 5};
  ASSERT_EQ(sampler.steps_per_epoch(), 11);
  for (const std::int64_t epoch : {0, 1, 7}) {
    std::vector<std::int64_t> all;
    for (std::int64_t batch = 0; batch < 11; ++batch) {
      const std::vector<std::int64_t> items = batch_of(sampler, epoch * 11 + batch);
      EXPECT_EQ(items.size(), batch == 10 ? 3u : 10u);
      all.insert(all.end(), items.begin(), items.end());
    }
    std::sort(all.begin(), all.end());
    std::vector<std::int64_t> expected(103);
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(all, expected);
  }
}

TEST(Sampler, EpochsAndSeedsDifferAndEachIsReproducible) {
  const Sampler sampler{1000, 100, Order::shuffled, 5};
  EXPECT_EQ(batch_of(sampler, 3), batch_of(sampler, 3));
  EXPECT_NE(batch_of(sampler, 3), batch_of(sampler, 13));
  EXPECT_NE(batch_of(sampler, 3), batch_of(Sampler{1000, 100, Order::shuffled, 6}, 3));
}

TEST(Sampler, APartOfABatchHasTheItemsOfTheWhole) {
  for (const Order order : {Order::shuffled, Order::sequential}) {
    const Sampler sampler{50, 16, order, 1};
    const std::vector<std::int64_t> whole = batch_of(sampler, 2);
    for (std::int64_t begin = 0; begin < 16; ++begin) {
      std::vector<std::int64_t> part(static_cast<std::size_t>(16 - begin));
      sampler.fill(2, begin, part);
      EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin() + begin));
    }
  }
}

TEST(Sampler, LanesCoverEachBatchExactlyOnceForEveryWorldSize) {
  const Sampler sampler{101, 24, Order::shuffled, 9};
  for (std::int64_t step = 0; step < sampler.steps_per_epoch(); ++step) {
    const std::vector<std::int64_t> expected = batch_of(sampler, step);
    for (const std::int64_t accumulate : {1, 3}) {
      for (int size = 1; size <= 12; ++size) {
        const BatchSplit split{12, accumulate, sampler.items_of(step)};
        std::vector<std::int64_t> seen;
        for (int rank = 0; rank < size; ++rank) {
          const Subtree leaves = split.leaves_of(rank, size);
          for (std::int64_t leaf = leaves.begin; leaf < leaves.end; ++leaf) {
            std::vector<std::int64_t> items(static_cast<std::size_t>(split.items_of(leaf)));
            sampler.fill(step, split.begin_of(leaf), items);
            seen.insert(seen.end(), items.begin(), items.end());
          }
        }
        ASSERT_EQ(seen, expected) << "step " << step << ", " << size << " ranks, accumulate " << accumulate;
      }
    }
  }
}

}  // namespace
}  // namespace trireme::data
