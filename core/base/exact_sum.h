// ExactSum: a sum of doubles that does not depend on their order, nor on how they are spread over ranks.
//
// A fixed-point number wide enough for every double (Kulisch, "Computer Arithmetic and Validity", 2008): 67 digits of 32
// bits in 64-bit limbs, so that additions need no carries for a long time and ranks may add limbs by an integer
// all_reduce. The value is rounded once, at the end.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace trireme {

class ExactSum {
 public:
  // 2^-1074, the smallest double, to beyond 2^1024 times the largest count.
  static constexpr std::size_t kLimbs = 68;

  // Adds a finite value exactly; infinities and NaN are remembered and win.
  void add(double value);
  void merge(const ExactSum& other);
  // The sum, correctly rounded to nearest, ties to even. NaN if one was added, or infinities of both signs.
  double value() const;

  // The state as integers that may be summed limb by limb over at most 2^30 sums (collectives use it). The last limb
  // counts non-finite values: sums of them stay non-zero. After changing limbs through this view the sum is the sum of
  // what they say.
  std::span<std::int64_t> limbs();

 private:
  void normalize() const;

  // Digit i has weight 2^(32 i - 1088). Normalized: digits in [0, 2^32), the sign in the highest one.
  mutable std::array<std::int64_t, kLimbs + 1> limbs_{};
  mutable std::uint32_t pending_ = 0;  // additions since the last normalization
};

}  // namespace trireme
