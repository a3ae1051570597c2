#include "trireme/core/base/exact_sum.h"

#include <bit>
#include <cmath>
#include <limits>

namespace trireme {
namespace {

constexpr int kBias = 1088;                         // a multiple of 32 that covers 2^-1074
constexpr std::int64_t kDigit = std::int64_t{1} << 32;
constexpr std::uint32_t kMostPending = 1u << 29;    // each addition changes a limb by less than 2^32
constexpr std::size_t kNonFinite = ExactSum::kLimbs;
// How non-finite values are counted in one limb that ranks add: three counters of 20 bits.
constexpr std::int64_t kNaN = 1;
constexpr std::int64_t kPositiveInfinity = std::int64_t{1} << 20;
constexpr std::int64_t kNegativeInfinity = std::int64_t{1} << 40;
constexpr std::int64_t kCounter = (std::int64_t{1} << 20) - 1;

}  // namespace

void ExactSum::add(double value) {
  if (value == 0) {
    return;
  }
  if (!std::isfinite(value)) {
    std::int64_t& seen = limbs_[kNonFinite];
    const std::int64_t unit = std::isnan(value) ? kNaN : value > 0 ? kPositiveInfinity : kNegativeInfinity;
    if ((seen / unit & kCounter) == 0) {
      seen += unit;
    }
    return;
  }
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto exponent = static_cast<int>(bits >> 52 & 0x7ff);
  std::uint64_t significand = bits & ((std::uint64_t{1} << 52) - 1);
  significand |= exponent == 0 ? 0 : std::uint64_t{1} << 52;
  const int position = (exponent == 0 ? 1 : exponent) - 1075 + kBias;  // of the significand's lowest bit
  const auto limb = static_cast<std::size_t>(position / 32);
  const auto wide = static_cast<unsigned __int128>(significand) << (position % 32);
  const std::int64_t sign = (bits >> 63) != 0 ? -1 : 1;
  limbs_[limb] += sign * static_cast<std::int64_t>(static_cast<std::uint32_t>(wide));
  limbs_[limb + 1] += sign * static_cast<std::int64_t>(static_cast<std::uint32_t>(wide >> 32));
  limbs_[limb + 2] += sign * static_cast<std::int64_t>(static_cast<std::uint64_t>(wide >> 64));
  if (++pending_ == kMostPending) {
    normalize();
  }
}

void ExactSum::merge(const ExactSum& other) {
  normalize();
  other.normalize();
  for (std::size_t i = 0; i < limbs_.size(); ++i) {
    limbs_[i] += other.limbs_[i];
  }
  pending_ = 1;
}

// Carries: afterwards every digit but the highest lies in [0, 2^32), the highest holds the sign.
void ExactSum::normalize() const {
  std::int64_t carry = 0;
  for (std::size_t i = 0; i + 1 < kLimbs; ++i) {
    const std::int64_t total = limbs_[i] + carry;
    carry = total >> 32;  // arithmetic: rounds down
    limbs_[i] = total - carry * kDigit;
  }
  limbs_[kLimbs - 1] += carry;
  pending_ = 0;
}

std::span<std::int64_t> ExactSum::limbs() {
  normalize();
  pending_ = kMostPending - 1;  // what comes back may be a sum of many
  return limbs_;
}

double ExactSum::value() const {
  normalize();
  const std::int64_t seen = limbs_[kNonFinite];
  if (seen != 0) {
    const bool up = (seen / kPositiveInfinity & kCounter) != 0;
    const bool down = (seen / kNegativeInfinity & kCounter) != 0;
    const bool invalid = (seen & kCounter) != 0 || (up && down);
    return invalid ? std::numeric_limits<double>::quiet_NaN() : std::numeric_limits<double>::infinity() * (up ? 1 : -1);
  }
  // The magnitude: digits of the sum, or of its negation.
  std::array<std::int64_t, kLimbs> digits;
  const bool negative = limbs_[kLimbs - 1] < 0;
  std::int64_t carry = 0;
  for (std::size_t i = 0; i < kLimbs; ++i) {
    const std::int64_t total = (negative ? -limbs_[i] : limbs_[i]) + carry;
    carry = i + 1 < kLimbs ? total >> 32 : 0;
    digits[i] = total - carry * kDigit;
  }
  std::size_t top = kLimbs;
  while (top > 0 && digits[top - 1] == 0) {
    --top;
  }
  if (top == 0) {
    return 0;
  }
  // The three highest digits hold at least 65 significant bits; everything below only matters as "not exactly half".
  unsigned __int128 head = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    head = head << 32 | (top > i ? static_cast<unsigned __int128>(digits[top - 1 - i]) : 0);
  }
  bool sticky = false;
  for (std::size_t i = 0; i + 3 < top; ++i) {
    sticky |= digits[i] != 0;
  }
  const int lowest = 32 * (static_cast<int>(top) - 3) - kBias;  // exponent of head's lowest bit
  const int width = 128 - (static_cast<std::uint64_t>(head >> 64) != 0
                               ? std::countl_zero(static_cast<std::uint64_t>(head >> 64))
                               : 64 + std::countl_zero(static_cast<std::uint64_t>(head)));
  const int cut = std::max(width - 53, -1074 - lowest);  // bits below the double's last place
  double magnitude = 0;
  if (cut <= 0) {
    magnitude = std::ldexp(static_cast<double>(static_cast<std::uint64_t>(head)), lowest);
  } else {
    auto kept = static_cast<std::uint64_t>(head >> cut);
    const unsigned __int128 rest = head & ((static_cast<unsigned __int128>(1) << cut) - 1);
    const unsigned __int128 half = static_cast<unsigned __int128>(1) << (cut - 1);
    if (rest > half || (rest == half && (sticky || (kept & 1) != 0))) {
      ++kept;
    }
    magnitude = std::ldexp(static_cast<double>(kept), lowest + cut);
  }
  return negative ? -magnitude : magnitude;
}

}  // namespace trireme
