// ExactSum against exact rational arithmetic done another way: sums whose true value is known.
#include "trireme/core/base/exact_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace trireme {
namespace {

double sum_of(const std::vector<double>& values) {
  ExactSum sum;
  for (const double value : values) {
    sum.add(value);
  }
  return sum.value();
}

TEST(ExactSum, ASingleValueComesBackUnchanged) {
  for (const double value : {0.0, 1.0, -1.5, 1e308, -1e308, 5e-324, -5e-324, 2.2250738585072014e-308, 0.1}) {
    EXPECT_EQ(sum_of({value}), value);
  }
}

TEST(ExactSum, NothingIsLostToCancellation) {
  EXPECT_EQ(sum_of({1e300, 1.0, -1e300}), 1.0);
  EXPECT_EQ(sum_of({1.0, 1e-300, -1.0}), 1e-300);
  EXPECT_EQ(sum_of({-1e200, 5e-324, 1e200}), 5e-324);
}

TEST(ExactSum, RoundsToNearestTiesToEven) {
  const double half = 0x1p-53;
  EXPECT_EQ(sum_of({1.0, half}), 1.0);                          // exactly half: to even
  EXPECT_EQ(sum_of({1.0, half, 5e-324}), 1.0 + 0x1p-52);        // a hair above half
  EXPECT_EQ(sum_of({1.0 + 0x1p-52, half}), 1.0 + 0x1p-51);      // half, odd: up to even
  EXPECT_EQ(sum_of({-1.0, -half, -5e-324}), -1.0 - 0x1p-52);
  EXPECT_EQ(sum_of({0x1.fffffffffffffp1023, 0x1p969}), 0x1.fffffffffffffp1023);
}

TEST(ExactSum, OrderAndPartitionDoNotMatter) {
  std::mt19937_64 random(11);
  std::vector<double> values;
  for (int i = 0; i < 2000; ++i) {
    const int exponent = static_cast<int>(random() % 600) - 300;
    values.push_back(std::ldexp(static_cast<double>(static_cast<std::int64_t>(random())), exponent));
  }
  const double expected = sum_of(values);
  for (int round = 0; round < 5; ++round) {
    std::shuffle(values.begin(), values.end(), random);
    ExactSum parts[3];
    ExactSum total;
    for (std::size_t i = 0; i < values.size(); ++i) {
      parts[i % 3].add(values[i]);
    }
    std::vector<std::int64_t> limbs(total.limbs().size(), 0);
    for (ExactSum& part : parts) {
      for (std::size_t i = 0; i < limbs.size(); ++i) {
        limbs[i] += part.limbs()[i];
      }
    }
    std::copy(limbs.begin(), limbs.end(), total.limbs().begin());
    EXPECT_EQ(total.value(), expected);
    ExactSum merged;
    for (const ExactSum& part : parts) {
      merged.merge(part);
    }
    EXPECT_EQ(merged.value(), expected);
  }
}

TEST(ExactSum, AgreesWithIntegerArithmetic) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    __int128 exact = 0;
    ExactSum sum;
    for (int i = 0; i < 100; ++i) {
      const auto integer = static_cast<std::int64_t>(random() >> 12) * (random() % 2 == 0 ? 1 : -1);
      exact += integer;
      sum.add(static_cast<double>(integer));
    }
    EXPECT_EQ(sum.value(), static_cast<double>(exact));
  }
}

TEST(ExactSum, NonFiniteValuesWin) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(sum_of({1.0, infinity, infinity}), infinity);
  EXPECT_EQ(sum_of({-infinity, 1e308}), -infinity);
  EXPECT_TRUE(std::isnan(sum_of({infinity, -infinity})));
  EXPECT_TRUE(std::isnan(sum_of({std::nan(""), 1.0})));
}

}  // namespace
}  // namespace trireme
