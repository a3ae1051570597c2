// Philox against its published known answers; streams, vectorised rows and permutations against their definitions.
#include "trireme/core/base/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <set>
#include <vector>

namespace trireme {
namespace {

// kat_vectors of the Random123 distribution, philox4x32 with 10 rounds.
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_EQ(philox(0, 0, 0), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~0ull, ~0ull, ~0ull), (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, BelowStaysBelowAndMeetsEveryValue) {
  const RandomStream stream(1, "below");
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < 500; ++i) {
    seen.insert(stream.below(i, 7));
  }
  EXPECT_EQ(seen.size(), 7u);
  EXPECT_EQ(*seen.rbegin(), 6u);
}

TEST(RandomStream, StreamsOfAnotherSeedPurposeStepOrLaneDiffer) {
  std::set<std::uint64_t> seen;
  for (const std::uint64_t seed : {1, 2}) {
    for (const char* purpose : {"a", "b"}) {
      seen.insert(RandomStream(seed, purpose).bits(0));
      for (const std::uint64_t step : {0, 1}) {
        for (const std::uint64_t lane : {0, 1}) {
          seen.insert(RandomStream(seed, purpose, step, lane).bits(0));
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), 20u);
}

TEST(RandomStream, UniformRowsHave24BitsAndStayBelowOne) {
  const RandomStream stream(5, "uniform");
  std::vector<float> row(1000);
  stream.fill_uniform(0, row);
  std::set<float> distinct;
  for (const float x : row) {
    ASSERT_GE(x, 0.0f);
    ASSERT_LT(x, 1.0f);
    ASSERT_EQ(std::ldexp(x, 24), std::trunc(std::ldexp(x, 24)));
    distinct.insert(x);
  }
  EXPECT_GT(distinct.size(), 990u);
}

TEST(RandomStream, RowsGoOnBeyondTheFirst32BitsOfTheCounter) {
  const RandomStream stream(5, "far");
  const std::uint64_t first = (std::uint64_t{1} << 34) - 64;  // block 2^32 lies inside
  std::vector<float> whole(128), piece(40);
  stream.fill_normal(first, whole);
  stream.fill_normal(first + 50, piece);
  EXPECT_EQ(piece, std::vector<float>(whole.begin() + 50, whole.begin() + 90));
  std::vector<float> start(64);
  stream.fill_normal(0, start);
  EXPECT_NE(start, std::vector<float>(whole.begin() + 64, whole.end()));
}

// Both results of a pair lie on the circle that its radius says: r^2 is exponential, the angle uniform and independent.
TEST(RandomStream, NormalPairsHaveExponentialSquaresAndUniformAngles) {
  std::vector<float> row(200'000);
  RandomStream(9, "pairs").fill_normal(0, row);
  double squares = 0;
  std::vector<int> octants(8);
  for (std::size_t i = 0; i < row.size(); i += 2) {
    squares += row[i] * row[i] + row[i + 1] * row[i + 1] > 2 * std::log(2.0) ? 1 : 0;  // the median of r^2
    const double angle = std::atan2(row[i + 1], row[i]) + std::numbers::pi;
    ++octants[static_cast<std::size_t>(std::min(7.0, angle / (std::numbers::pi / 4)))];
  }
  EXPECT_NEAR(squares / 100'000, 0.5, 0.008);
  for (const int octant : octants) {
    EXPECT_NEAR(octant / 100'000.0, 0.125, 0.006);
  }
}

TEST(Permutation, IsABijectionForEveryCount) {
  for (std::uint64_t count = 1; count < 300; ++count) {
    const Permutation permutation(RandomStream(count, "permute"), count);
    std::vector<bool> seen(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::uint64_t item = permutation(i);
      ASSERT_LT(item, count);
      ASSERT_FALSE(seen[item]) << count;
      seen[item] = true;
    }
  }
}

TEST(Permutation, SendsEachPositionToEachItemEquallyOften) {
  constexpr std::uint64_t kCount = 5;
  constexpr int kRounds = 20'000;
  std::vector<std::vector<int>> hits(kCount, std::vector<int>(kCount));
  for (std::uint64_t seed = 0; seed < kRounds; ++seed) {
    const Permutation permutation(RandomStream(seed, "permute"), kCount);
    for (std::uint64_t i = 0; i < kCount; ++i) {
      ++hits[i][permutation(i)];
    }
  }
  for (const auto& row : hits) {
    for (const int count : row) {
      EXPECT_NEAR(count / double{kRounds}, 0.2, 0.02);
    }
  }
}

TEST(Permutation, NeighboursDoNotStayNeighbours) {
  constexpr std::uint64_t kCount = 60'000;
  const Permutation permutation(RandomStream(3, "permute"), kCount);
  int close = 0;
  for (std::uint64_t i = 0; i + 1 < kCount; ++i) {
    const auto gap = static_cast<std::int64_t>(permutation(i)) - static_cast<std::int64_t>(permutation(i + 1));
    close += std::abs(gap) < 600;  // by chance 2 %
  }
  EXPECT_NEAR(close / double{kCount}, 0.02, 0.004);
}

}  // namespace
}  // namespace trireme
