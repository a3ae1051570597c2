// Elementary functions of Highway kernels, on top of core/base/simd-inl.h. Included once for each instruction set.
#if defined(TRIREME_CORE_OPS_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIREME_CORE_OPS_SIMD_INL_H_
#undef TRIREME_CORE_OPS_SIMD_INL_H_
#else
#define TRIREME_CORE_OPS_SIMD_INL_H_
#endif

#include "hwy/contrib/math/math-inl.h"
#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {

// e^x within 1 ulp in f32; 0 below the range, infinity above it, NaN stays NaN.
// f32: x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite's two-part constant), the polynomial of Cephes' expf, and
// 2^n applied in two factors so that results may be denormal.
template <class D>
requires(sizeof(hn::TFromD<D>) == 4) HWY_INLINE hn::Vec<D> exp(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> di;
  [[maybe_unused]] const auto given = x;
  x = hn::Max(hn::Set(d, -104.0f), hn::Min(hn::Set(d, 89.0f), x));  // in this order NaN passes x86's vectors
  const auto n = hn::NearestInt(hn::Mul(x, hn::Set(d, 1.44269504088896341f)));
  const auto whole = hn::ConvertTo(d, n);
  auto r = hn::NegMulAdd(whole, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(whole, hn::Set(d, -2.12194440e-4f), r);
  auto p = hn::Set(d, 1.9875691500e-4f);
  p = hn::MulAdd(p, r, hn::Set(d, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  p = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), hn::Set(d, 1.0f));
  const auto half = hn::ShiftRight<1>(n);
  const auto bias = hn::Set(di, 127);
  const auto first = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const auto second = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(n, half), bias)));
  const auto result = hn::Mul(hn::Mul(p, first), second);
#if HWY_TARGET == HWY_SCALAR
  return hn::IfThenElse(hn::Eq(given, given), result, given);
#else
  return result;
#endif
}
template <class D>
requires(sizeof(hn::TFromD<D>) == 8) HWY_INLINE hn::Vec<D> exp(D d, hn::Vec<D> x) {
  const auto y = hn::Exp(d, hn::Min(hn::Set(d, 710.0), x));
  return hn::IfThenElse(hn::Eq(x, x), y, x);
}

// 1 / x for x in [1, 1e35], within 3 ulp.
template <class D>
HWY_INLINE hn::Vec<D> reciprocal([[maybe_unused]] D d, hn::Vec<D> x) {
#if HWY_TARGET <= HWY_AVX3
  if constexpr (sizeof(hn::TFromD<D>) == 4) {
    const auto guess = hn::ApproximateReciprocal(x);  // 14 bits; one Newton step doubles them
    return hn::Mul(guess, hn::NegMulAdd(x, guess, hn::Set(d, 2.0f)));
  }
#endif
  return hn::Div(hn::Set(d, 1), x);
}

// 1 / (1 + e^-x) within 4 ulp for |x| <= 80; beyond, the value at 80 (1.8e-35 or 1). NaN stays NaN.
template <class D>
HWY_INLINE hn::Vec<D> sigmoid(D d, hn::Vec<D> x) {
  const auto bounded = hn::Max(hn::Set(d, -80), hn::Min(hn::Set(d, 80), hn::Neg(x)));
  return reciprocal(d, hn::Add(hn::Set(d, 1), exp(d, bounded)));
}

// 2 sigmoid(2x) - 1, which is tanh x with an absolute error below 3e-7 in f32: what activations need. hn::Tanh is
// accurate relative to small results too, and slower.
template <class D>
HWY_INLINE hn::Vec<D> fast_tanh(D d, hn::Vec<D> x) {
  const auto two = hn::Set(d, 2);
  return hn::MulSub(two, sigmoid(d, hn::Mul(two, x)), hn::Set(d, 1));
}

}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
