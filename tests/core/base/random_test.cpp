// Counter-based random numbers: published vectors, moments, independence of order, permutations.
#include "trireme/core/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "trireme/core/base/error.h"

namespace trireme {
namespace {

// Known answers of philox4x32-10 from the Random123 distribution (kat_vectors).
TEST(Philox, MatchesThePublishedVectors) {
  EXPECT_EQ(philox(0, 0, 0), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint64_t kOnes = ~std::uint64_t{0};
  EXPECT_EQ(philox(kOnes, kOnes, kOnes), (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

struct Moments {
  double mean = 0;
  double variance = 0;
  double fourth = 0;
};

template <class Draw>
Moments moments(std::uint64_t count, const Draw& draw) {
  Moments m;
  for (std::uint64_t i = 0; i < count; ++i) {
    m.mean += draw(i) / static_cast<double>(count);
  }
  for (std::uint64_t i = 0; i < count; ++i) {
    const double centered = draw(i) - m.mean;
    m.variance += centered * centered / static_cast<double>(count);
    m.fourth += centered * centered * centered * centered / static_cast<double>(count);
  }
  return m;
}

// Bounds are about five standard deviations of each estimate.
TEST(RandomStream, UniformNumbersHaveTheRightMoments) {
  const RandomStream stream(1, "uniform");
  const Moments m = moments(200000, [&](std::uint64_t i) { return stream.uniform(i); });
  EXPECT_NEAR(m.mean, 0.5, 0.0035);
  EXPECT_NEAR(m.variance, 1.0 / 12, 0.001);
}

TEST(RandomStream, NormalNumbersHaveTheRightMoments) {
  const RandomStream stream(1, "normal");
  const Moments m = moments(200000, [&](std::uint64_t i) { return stream.normal(i); });
  EXPECT_NEAR(m.mean, 0, 0.012);
  EXPECT_NEAR(m.variance, 1, 0.016);
  EXPECT_NEAR(m.fourth, 3, 0.12);
}

TEST(RandomStream, FilledFloatsHaveTheRightMomentsAndRange) {
  std::vector<float> uniform(100000);
  std::vector<float> normal(100000);
  RandomStream(3, "fill").fill_uniform(0, uniform);
  RandomStream(3, "fill").fill_normal(0, normal);
  EXPECT_TRUE(std::all_of(uniform.begin(), uniform.end(), [](float x) { return x >= 0 && x < 1; }));
  EXPECT_NEAR(moments(100000, [&](std::uint64_t i) { return static_cast<double>(uniform[i]); }).mean, 0.5, 0.005);
  EXPECT_NEAR(moments(100000, [&](std::uint64_t i) { return static_cast<double>(normal[i]); }).variance, 1, 0.023);
}

TEST(RandomStream, AnySliceHasTheNumbersOfTheWhole) {
  const RandomStream stream(9, "weights");
  std::vector<float> uniform(100);
  std::vector<float> normal(100);
  stream.fill_uniform(0, uniform);
  stream.fill_normal(0, normal);
  for (std::size_t first = 0; first < 90; first += 3) {
    std::vector<float> slice(7);
    stream.fill_uniform(first, slice);
    EXPECT_TRUE(std::equal(slice.begin(), slice.end(), uniform.begin() + static_cast<std::ptrdiff_t>(first)));
    stream.fill_normal(first, slice);
    EXPECT_TRUE(std::equal(slice.begin(), slice.end(), normal.begin() + static_cast<std::ptrdiff_t>(first)));
  }
}

TEST(RandomStream, SeedPurposeStepAndLaneAllMatter) {
  const std::uint64_t base = RandomStream(1, "a", 2, 3).bits(0);
  EXPECT_EQ(RandomStream(1, "a", 2, 3).bits(0), base);
  EXPECT_NE(RandomStream(2, "a", 2, 3).bits(0), base);
  EXPECT_NE(RandomStream(1, "b", 2, 3).bits(0), base);
  EXPECT_NE(RandomStream(1, "a", 3, 3).bits(0), base);
  EXPECT_NE(RandomStream(1, "a", 2, 4).bits(0), base);
}

TEST(RandomStream, BelowCoversItsRangeEvenly) {
  const RandomStream stream(4, "below");
  std::vector<int> hits(7);
  for (std::uint64_t i = 0; i < 70000; ++i) {
    ++hits[stream.below(i, 7)];
  }
  for (const int hit : hits) {
    EXPECT_NEAR(hit, 10000, 470);
  }
  EXPECT_THROW(stream.below(0, 0), Error);
  EXPECT_EQ(stream.below(5, 1), 0u);
}

TEST(Permute, IsABijectionOfEveryCount) {
  for (const std::uint64_t count : {1, 2, 3, 4, 5, 16, 17, 63, 64, 65, 1000, 4097}) {
    const RandomStream stream(count, "order");
    std::vector<bool> seen(count);
    for (std::uint64_t position = 0; position < count; ++position) {
      const std::uint64_t item = permute(stream, position, count);
      ASSERT_LT(item, count);
      ASSERT_FALSE(seen[item]) << item << " twice of " << count;
      seen[item] = true;
    }
  }
}

TEST(Permute, DiffersByStreamAndMovesMostItems) {
  const RandomStream a(1, "order epoch 0");
  const RandomStream b(1, "order epoch 1");
  int same = 0;
  int fixed = 0;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    same += permute(a, i, 1000) == permute(b, i, 1000);
    fixed += permute(a, i, 1000) == i;
  }
  EXPECT_LT(same, 12);
  EXPECT_LT(fixed, 12);
  EXPECT_THROW(permute(a, 5, 5), Error);
}

}  // namespace
}  // namespace trireme
