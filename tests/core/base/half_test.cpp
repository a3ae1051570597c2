// The 16-bit types: every bit pattern, and conversions against an oracle that searches for the nearest value.
#include "trireme/core/base/half.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace trireme {
namespace {

// What the bits mean, from the definition of a binary floating-point format.
double value_of(std::uint16_t bits, int exponent_bits, int fraction_bits) {
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const int exponent = bits >> fraction_bits & ((1 << exponent_bits) - 1);
  const int fraction = bits & ((1 << fraction_bits) - 1);
  const double sign = (bits & 0x8000) != 0 ? -1 : 1;
  if (exponent == (1 << exponent_bits) - 1) {
    return fraction != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  }
  return exponent == 0 ? sign * std::ldexp(fraction, 1 - bias - fraction_bits)
                       : sign * std::ldexp(fraction + (1 << fraction_bits), exponent - bias - fraction_bits);
}

// The nearest of all finite values, ties to the even fraction; from halfway to the next power of two on, infinity.
template <class Half>
std::uint16_t nearest(float x, int exponent_bits, int fraction_bits) {
  const std::uint16_t infinity = static_cast<std::uint16_t>(((1 << exponent_bits) - 1) << fraction_bits);
  std::uint16_t low = 0;
  std::uint16_t high = infinity;  // magnitudes are ordered like their bits
  const double magnitude = std::abs(static_cast<double>(x));
  while (high - low > 1) {
    const auto middle = static_cast<std::uint16_t>((low + high) / 2);
    (value_of(middle, exponent_bits, fraction_bits) <= magnitude ? low : high) = middle;
  }
  const double below = value_of(low, exponent_bits, fraction_bits);
  const double above = high == infinity ? 2 * below - value_of(low - 1, exponent_bits, fraction_bits)
                                        : value_of(high, exponent_bits, fraction_bits);
  const bool up = magnitude - below > above - magnitude || (magnitude - below == above - magnitude && low % 2 == 1);
  return static_cast<std::uint16_t>((up ? high : low) | (std::signbit(x) ? 0x8000 : 0));
}

template <class Half>
void check_every_pattern(int exponent_bits, int fraction_bits) {
  for (int bits = 0; bits < 0x10000; ++bits) {
    Half half;
    half.bits = static_cast<std::uint16_t>(bits);
    const auto value = static_cast<float>(half);
    const double expected = value_of(half.bits, exponent_bits, fraction_bits);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_TRUE(std::isnan(static_cast<float>(Half(value)))) << bits;
    } else {
      ASSERT_EQ(static_cast<double>(value), expected) << bits;
      ASSERT_EQ(std::signbit(value), (bits & 0x8000) != 0) << bits;
      ASSERT_EQ(Half(value).bits, half.bits);
    }
  }
}

template <class Half>
void check_rounding(int exponent_bits, int fraction_bits) {
  std::mt19937 random(7);
  std::vector<float> values;
  for (int i = 0; i < 100000; ++i) {  // any bit pattern
    values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random())));
  }
  for (int i = 0; i < 0x7fff; i += 7) {  // the middles between neighbours, and beside them
    Half a, b;
    a.bits = static_cast<std::uint16_t>(i);
    b.bits = static_cast<std::uint16_t>(i + 1);
    const float middle = 0.5F * static_cast<float>(a) + 0.5F * static_cast<float>(b);
    for (const float value : {middle, std::nextafter(middle, 0.0F), std::nextafter(middle, INFINITY)}) {
      values.push_back(value);
      values.push_back(-value);
    }
  }
  for (const float value : values) {
    if (std::isfinite(value)) {
      ASSERT_EQ(Half(value).bits, nearest<Half>(value, exponent_bits, fraction_bits)) << value;
    }
  }
}

TEST(Half, EveryBFloat16ConvertsExactlyAndBack) { check_every_pattern<BFloat16>(8, 7); }
TEST(Half, EveryFloat16ConvertsExactlyAndBack) { check_every_pattern<Float16>(5, 10); }
TEST(Half, BFloat16RoundsToNearestEven) { check_rounding<BFloat16>(8, 7); }
TEST(Half, Float16RoundsToNearestEven) { check_rounding<Float16>(5, 10); }

TEST(Half, InfinityStaysAndOverflowBecomesIt) {
  EXPECT_TRUE(std::isinf(static_cast<float>(Float16(65520.0F))));
  EXPECT_EQ(static_cast<float>(Float16(65519.0F)), 65504.0F);
  EXPECT_TRUE(std::isinf(static_cast<float>(BFloat16(std::numeric_limits<float>::max()))));
  EXPECT_EQ(Float16(-std::numeric_limits<float>::infinity()).bits, 0xfc00);
}

}  // namespace
}  // namespace trireme
