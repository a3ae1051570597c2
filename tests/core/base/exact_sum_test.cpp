// Exact sums against arithmetic that is exact by other means: integers, 128-bit floats, and pairs that cancel.
#include "trireme/core/base/exact_sum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

namespace trireme {
namespace {

double sum_of(const std::vector<double>& terms) {
  ExactSum sum;
  for (const double term : terms) {
    sum.add(term);
  }
  return sum.value();
}

double random_double(std::mt19937_64& random, int low, int high) {
  const double fraction = static_cast<double>(random() >> 11) * 0x1.0p-53 + 0.5;
  const int exponent = low + static_cast<int>(random() % static_cast<std::uint64_t>(high - low));
  return std::ldexp(random() % 2 == 0 ? fraction : -fraction, exponent);
}

TEST(ExactSum, OneTermComesBackUnchanged) {
  std::mt19937_64 random(1);
  for (const double edge : {0.0, 1.0, -1.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.7976931348623157e308}) {
    EXPECT_EQ(sum_of({edge}), edge);
  }
  for (int i = 0; i < 5000; ++i) {
    const double x = random_double(random, -1074, 1024);
    ASSERT_EQ(sum_of({x}), x);
  }
}

// Terms within 40 binary orders: a 113-bit float holds their sums exactly.
TEST(ExactSum, EqualsQuadrupleArithmeticWhereThatIsExact) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 500; ++round) {
    const int base = -1000 + static_cast<int>(random() % 1900);
    std::vector<double> terms;
    __float128 expected = 0;
    for (int i = 0; i < 100; ++i) {
      terms.push_back(random_double(random, base, base + 40));
      expected += terms.back();
    }
    ASSERT_EQ(sum_of(terms), static_cast<double>(expected));
  }
}

TEST(ExactSum, OrderAndGroupingDoNotMatter) {
  std::mt19937_64 random(3);
  std::vector<double> terms;
  for (int i = 0; i < 2000; ++i) {
    terms.push_back(random_double(random, -300, 300));
  }
  const double expected = sum_of(terms);
  for (int round = 0; round < 20; ++round) {
    std::shuffle(terms.begin(), terms.end(), random);
    std::vector<ExactSum> groups(7);
    for (std::size_t i = 0; i < terms.size(); ++i) {
      groups[random() % 7].add(terms[i]);
    }
    ExactSum all;
    for (const ExactSum& group : groups) {
      all.merge(group);
    }
    ASSERT_EQ(all.value(), expected);
  }
}

TEST(ExactSum, LimbsMayBeAddedAsIntegersOverRanks) {
  std::mt19937_64 random(4);
  std::vector<double> terms;
  std::vector<ExactSum> ranks(5);
  for (int i = 0; i < 1000; ++i) {
    terms.push_back(random_double(random, -50, 50));
    ranks[static_cast<std::size_t>(i) % 5].add(terms.back());
  }
  std::vector<std::int64_t> total(ExactSum::kLimbs);
  for (ExactSum& rank : ranks) {
    std::transform(total.begin(), total.end(), rank.limbs().begin(), total.begin(), std::plus<>());
  }
  const ExactSum sum = ExactSum::from_limbs(std::span<const std::int64_t, ExactSum::kLimbs>(total));
  EXPECT_EQ(sum.value(), sum_of(terms));
}

TEST(ExactSum, NothingIsLostToCancellation) {
  EXPECT_EQ(sum_of({1e300, 1, -1e300}), 1);
  EXPECT_EQ(sum_of({1e308, 1e308, -1e308, 5e-324, -1e308}), 5e-324);
  std::mt19937_64 random(5);
  std::vector<double> terms = {3.5};
  for (int i = 0; i < 1000; ++i) {
    terms.push_back(random_double(random, -1000, 1000));
    terms.push_back(-terms.back());
  }
  std::shuffle(terms.begin(), terms.end(), random);
  EXPECT_EQ(sum_of(terms), 3.5);
}

TEST(ExactSum, RoundsOnceToNearestEven) {
  const double ulp = 0x1.0p-52;
  EXPECT_EQ(sum_of({1, ulp / 2}), 1);                  // a tie goes to even
  EXPECT_EQ(sum_of({1 + ulp, ulp / 2}), 1 + 2 * ulp);  // likewise, upwards
  EXPECT_EQ(sum_of({1, ulp / 2, 5e-324}), 1 + ulp);    // a sticky bit a thousand orders below
  EXPECT_EQ(sum_of({1, ulp / 2, -5e-324}), 1);
  EXPECT_EQ(sum_of({-1, -ulp / 2, -5e-324}), -1 - ulp);
  EXPECT_EQ(sum_of({1, ulp / 4, ulp / 4, ulp / 4}), 1 + ulp);  // a running sum would stay at 1
  EXPECT_EQ(sum_of({0x1.fffffffffffffp0, ulp / 2}), 2);        // the carry reaches a new binary order
}

TEST(ExactSum, SubnormalSumsAreExact) {
  std::mt19937_64 random(6);
  std::int64_t expected = 0;
  ExactSum sum;
  for (int i = 0; i < 1000; ++i) {
    const auto count = static_cast<std::int64_t>(random() % 2001) - 1000;
    expected += count;
    sum.add(static_cast<double>(count) * 5e-324);
  }
  EXPECT_EQ(sum.value(), static_cast<double>(expected) * 5e-324);
}

TEST(ExactSum, OverflowIsInfinityOnlyIfTheWholeSumOverflows) {
  const double most = std::numeric_limits<double>::max();
  EXPECT_EQ(sum_of({most, most}), std::numeric_limits<double>::infinity());
  EXPECT_EQ(sum_of({-most, -most}), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(sum_of({most, most, -most}), most);
}

TEST(ExactSum, InfinitiesAndNaNsSurviveMerging) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(sum_of({1, infinity, -5}), infinity);
  EXPECT_EQ(sum_of({1, -infinity}), -infinity);
  EXPECT_TRUE(std::isnan(sum_of({infinity, -infinity})));
  ExactSum a, b;
  a.add(std::nan(""));
  b.add(2);
  b.merge(a);
  EXPECT_TRUE(std::isnan(b.value()));
  b.clear();
  EXPECT_EQ(b.value(), 0);
}

}  // namespace
}  // namespace trireme
