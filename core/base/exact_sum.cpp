#include "trireme/core/base/exact_sum.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace trireme {
namespace {

constexpr int kPlusInfinity = ExactSum::kDigits;
constexpr int kMinusInfinity = ExactSum::kDigits + 1;
constexpr int kNaN = ExactSum::kDigits + 2;
constexpr std::int64_t kDigitMask = 0xFFFFFFFF;
constexpr int kUnitExponent = -1074;  // digit i counts multiples of 2^(32 i + kUnitExponent)

using Limbs = std::array<std::int64_t, ExactSum::kLimbs>;

// Brings all digits but the highest to [0, 2^32); the highest keeps the sign of the whole.
void carry_digits(Limbs& limbs) {
  for (std::size_t i = 0; i + 1 < ExactSum::kDigits; ++i) {
    limbs[i + 1] += limbs[i] >> 32;  // rounds down, also for negative digits
    limbs[i] &= kDigitMask;
  }
}

// The value of digits in [0, 2^32) that are not all zero: the 64 bits from the highest one on, with a sticky last bit.
double rounded(const Limbs& digits) {
  int top = ExactSum::kDigits - 1;
  while (digits[static_cast<std::size_t>(top)] == 0) {
    --top;
  }
  std::uint64_t bits = 0;
  bool below = false;
  int taken = 0;  // bits of significance in `bits`
  int exponent = 0;
  for (int i = top; i >= 0; --i) {
    const auto digit = static_cast<std::uint64_t>(digits[static_cast<std::size_t>(i)]);
    const int room = 64 - taken;
    if (room >= 32) {
      bits = bits << 32 | digit;
      taken = taken == 0 ? static_cast<int>(std::bit_width(digit)) : taken + 32;
      exponent = 32 * i + kUnitExponent;
    } else if (room > 0) {
      bits = bits << room | digit >> (32 - room);
      below = below || (digit << room & kDigitMask) != 0;
      taken = 64;
      exponent = 32 * i + (32 - room) + kUnitExponent;
    } else {
      below = below || digit != 0;
    }
  }
  // 53 bits are kept, the rest decides: rounding by hand, because a conversion would round without the sticky bits.
  if (taken > 53) {
    const int drop = taken - 53;
    const std::uint64_t rest = bits & ((std::uint64_t{1} << drop) - 1);
    const std::uint64_t half = std::uint64_t{1} << (drop - 1);
    bits >>= drop;
    exponent += drop;
    bits += rest > half || (rest == half && (below || (bits & 1) != 0)) ? 1 : 0;
  }
  return std::ldexp(static_cast<double>(bits), exponent);  // exact, or infinity
}

}  // namespace

void ExactSum::add_term(double term) {
  const auto word = std::bit_cast<std::uint64_t>(term);
  const auto exponent = static_cast<int>(word >> 52 & 0x7FF);
  const bool negative = word >> 63 != 0;
  std::uint64_t fraction = word & ((std::uint64_t{1} << 52) - 1);
  if (exponent == 0x7FF) [[unlikely]] {
    ++limbs_[static_cast<std::size_t>(fraction != 0 ? kNaN : negative ? kMinusInfinity : kPlusInfinity)];
    return;
  }
  fraction |= exponent == 0 ? 0 : std::uint64_t{1} << 52;
  const int shift = exponent == 0 ? 0 : exponent - 1;  // term = fraction * 2^(shift - 1074)
  const auto first = static_cast<std::size_t>(shift / 32);
  const unsigned __int128 wide = static_cast<unsigned __int128>(fraction) << (shift % 32);
  const std::int64_t sign = negative ? -1 : 1;
  limbs_[first] += sign * static_cast<std::int64_t>(wide & kDigitMask);
  limbs_[first + 1] += sign * static_cast<std::int64_t>(wide >> 32 & kDigitMask);
  limbs_[first + 2] += sign * static_cast<std::int64_t>(wide >> 64);
}

void ExactSum::carry() {
  carry_digits(limbs_);
  terms_ = 0;
}

void ExactSum::merge(const ExactSum& other) {
  ExactSum reduced = other;
  reduced.carry();
  for (std::size_t i = 0; i < kLimbs; ++i) {
    limbs_[i] += reduced.limbs_[i];
  }
  if (++terms_ == kTermsBetweenCarries) {
    carry();
  }
}

double ExactSum::value() const {
  const bool up = limbs_[kPlusInfinity] != 0, down = limbs_[kMinusInfinity] != 0;
  if (limbs_[kNaN] != 0 || (up && down)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (up || down) {
    return up ? std::numeric_limits<double>::infinity() : -std::numeric_limits<double>::infinity();
  }
  Limbs digits = limbs_;
  carry_digits(digits);
  const bool negative = digits[kDigits - 1] < 0;
  if (negative) {
    std::for_each(digits.begin(), digits.begin() + kDigits, [](std::int64_t& digit) { digit = -digit; });
    carry_digits(digits);
  }
  if (std::all_of(digits.begin(), digits.begin() + kDigits, [](std::int64_t digit) { return digit == 0; })) {
    return 0;
  }
  const double magnitude = rounded(digits);
  return negative ? -magnitude : magnitude;
}

std::span<std::int64_t, ExactSum::kLimbs> ExactSum::limbs() {
  carry();
  return limbs_;
}

ExactSum ExactSum::from_limbs(std::span<const std::int64_t, kLimbs> limbs) {
  ExactSum sum;
  std::copy(limbs.begin(), limbs.end(), sum.limbs_.begin());
  sum.carry();
  return sum;
}

}  // namespace trireme
