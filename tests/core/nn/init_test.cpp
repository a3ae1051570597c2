// First values: the same bits in any slice, and the distributions that were asked for.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "trireme/core/base/parallel.h"
#include "trireme/core/nn/module.h"

namespace trireme::nn {
namespace {

constexpr std::int64_t kCount = 70'001;  // several tiles and an odd rest

std::vector<float> filled(const Init& init, std::uint64_t seed, const char* name, std::int64_t first,
                          std::int64_t count) {
  const Array out = Array::empty({count});
  init.fill(seed, name, first, out);
  return out.to_vector<float>();
}

TEST(Init, AnySliceHasTheBitsOfTheWhole) {
  for (const Init& init : {Init::normal(0.5, 0.02), Init::uniform(-0.1, 0.3), Init::constant(0.25)}) {
    const std::vector<float> whole = filled(init, 7, "h.0.weight", 0, kCount);
    for (std::int64_t first = 0; first < 70; ++first) {
      for (const std::int64_t count : {1, 2, 3, 5, 16, 33, 1000}) {
        const std::vector<float> slice = filled(init, 7, "h.0.weight", first, count);
        ASSERT_EQ(0, std::memcmp(slice.data(), whole.data() + first, slice.size() * sizeof(float)))
            << "first " << first << ", count " << count;
      }
    }
    const std::vector<float> tail = filled(init, 7, "h.0.weight", 40'003, kCount - 40'003);
    EXPECT_EQ(0, std::memcmp(tail.data(), whole.data() + 40'003, tail.size() * sizeof(float)));
  }
}

TEST(Init, BitsDoNotDependOnTheNumberOfThreads) {
  const std::vector<float> one = filled(Init::normal(0, 1), 3, "w", 0, kCount);
  set_num_threads(3);
  const std::vector<float> three = filled(Init::normal(0, 1), 3, "w", 0, kCount);
  set_num_threads(1);
  EXPECT_EQ(0, std::memcmp(one.data(), three.data(), one.size() * sizeof(float)));
}

TEST(Init, NormalValuesHaveTheMomentsAndTheTailsOfANormalDistribution) {
  const std::int64_t count = 1'000'000;
  const std::vector<float> values = filled(Init::normal(0, 1), 11, "w", 0, count);
  double sum = 0, squares = 0, cubes = 0, fourths = 0, neighbours = 0;
  std::int64_t beyond_two = 0, beyond_four = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double x = values[i];
    ASSERT_TRUE(std::isfinite(x));
    sum += x, squares += x * x, cubes += x * x * x, fourths += x * x * x * x;
    neighbours += i == 0 ? 0 : x * values[i - 1];
    beyond_two += std::abs(x) > 2;
    beyond_four += std::abs(x) > 4;
  }
  const double n = static_cast<double>(count);
  EXPECT_NEAR(sum / n, 0, 0.005);  // five standard errors
  EXPECT_NEAR(squares / n, 1, 0.0071);
  EXPECT_NEAR(cubes / n, 0, 0.02);
  EXPECT_NEAR(fourths / n, 3, 0.05);
  EXPECT_NEAR(neighbours / n, 0, 0.005);
  EXPECT_NEAR(static_cast<double>(beyond_two) / n, std::erfc(2 / std::numbers::sqrt2), 0.00105);
  EXPECT_NEAR(static_cast<double>(beyond_four) / n, std::erfc(4 / std::numbers::sqrt2), 0.00004);
}

TEST(Init, UniformValuesStayInTheirRangeAndFillIt) {
  const std::vector<float> values = filled(Init::uniform(-2, 2), 5, "w", 0, 100'000);
  double sum = 0;
  int lowest_tenth = 0;
  for (const float x : values) {
    ASSERT_GE(x, -2.0f);
    ASSERT_LT(x, 2.0f);
    sum += x;
    lowest_tenth += x < -1.6f;
  }
  EXPECT_NEAR(sum / 100'000, 0, 0.02);
  EXPECT_NEAR(lowest_tenth / 100'000.0, 0.1, 0.005);
}

TEST(Init, SeedAndNameChangeEveryValue) {
  const std::vector<float> base = filled(Init::normal(0, 1), 1, "a", 0, 100);
  for (const auto& other : {filled(Init::normal(0, 1), 2, "a", 0, 100), filled(Init::normal(0, 1), 1, "b", 0, 100)}) {
    for (std::size_t i = 0; i < 100; ++i) {
      EXPECT_NE(base[i], other[i]);
    }
  }
}

TEST(Init, OtherDtypesAreTheRoundedF32Values) {
  const Array wide = Array::empty({100}, DType::f64);
  Init::normal(0, 1).fill(1, "a", 0, wide);
  const std::vector<float> narrow = filled(Init::normal(0, 1), 1, "a", 0, 100);
  EXPECT_EQ(wide.to_vector<float>(), narrow);
}

}  // namespace
}  // namespace trireme::nn
