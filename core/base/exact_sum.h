// ExactSum: a sum of doubles that does not depend on the order of its terms.
//
// Every finite double is an integer multiple of 2^-1074, so a sum of doubles is an integer in that unit. It is kept
// whole, in digits of 32 bits that lie in signed 64-bit limbs: adding is integer addition, hence exact, associative and
// commutative, and only value() rounds, once. Ranks may add their limbs element by element (an integer all_reduce) in
// any order. After Kulisch, "Computer arithmetic and validity" (2008); the digits as in Neal, "Fast exact summation
// using small and large superaccumulators" (2015).
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace trireme {

class ExactSum {
 public:
  static constexpr int kDigits = 68;          // 2098 bits of doubles, 64 more for as many terms as can be
  static constexpr int kLimbs = kDigits + 3;  // and how many +infinity, -infinity and NaN were added

  void add(double term) {
    add_term(term);
    if (++terms_ == kTermsBetweenCarries) {
      carry();
    }
  }
  void merge(const ExactSum& other);
  void clear() { *this = ExactSum(); }

  // The sum, rounded once to the nearest double, ties to even; beyond the largest double infinity. NaN if a NaN was
  // added, or infinities of both signs.
  double value() const;

  // The state as integers, brought to digits below 2^32 first: the limbs of up to 2^30 sums may be added to each other.
  std::span<std::int64_t, kLimbs> limbs();
  // REQUIRES: the limbs are sums of what limbs() gave.
  static ExactSum from_limbs(std::span<const std::int64_t, kLimbs> limbs);

 private:
  static constexpr std::int64_t kTermsBetweenCarries = 1 << 29;  // a term adds less than 2^32 to a limb

  void add_term(double term);
  void carry();

  std::array<std::int64_t, kLimbs> limbs_{};
  std::int64_t terms_ = 0;  // since the last carry
};

}  // namespace trireme
