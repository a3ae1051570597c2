// bf16 in vectors: widening to f32 and rounding back. Included once for each instruction set (core/base/simd.h).
//
// Rounding is done in integers, so that its bits are those of BFloat16(float) on every instruction set: the processors'
// own conversion flushes denormals.
#if defined(TRIREME_CORE_BASE_BF16_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIREME_CORE_BASE_BF16_INL_H_
#undef TRIREME_CORE_BASE_BF16_INL_H_
#else
#define TRIREME_CORE_BASE_BF16_INL_H_
#endif

#include "trireme/core/base/half.h"
#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {

// The bits of Lanes(d) bf16 values, one in the lower half of each 32-bit lane; d is a tag of f32.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> load_bf16(D /*d*/, const BFloat16* p) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<std::uint16_t, D> narrow;
  return hn::PromoteTo(du, hn::LoadU(narrow, &p->bits));
}
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> load_bf16_tail(D /*d*/, const BFloat16* p, std::size_t count) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<std::uint16_t, D> narrow;
  return hn::PromoteTo(du, load_tail(narrow, &p->bits, count));
}

// The reverse: the lower halves of the lanes.
template <class D>
HWY_INLINE void store_bf16(hn::Vec<hn::RebindToUnsigned<D>> bits, D /*d*/, BFloat16* p) {
  const hn::Rebind<std::uint16_t, D> narrow;
  hn::StoreU(hn::TruncateTo(narrow, bits), narrow, &p->bits);
}
template <class D>
HWY_INLINE void store_bf16_tail(hn::Vec<hn::RebindToUnsigned<D>> bits, D /*d*/, BFloat16* p, std::size_t count) {
  const hn::Rebind<std::uint16_t, D> narrow;
  store_tail(hn::TruncateTo(narrow, bits), narrow, &p->bits, count);
}

// To f32, exactly.
template <class D>
HWY_INLINE hn::Vec<D> widen_bf16(D d, hn::Vec<hn::RebindToUnsigned<D>> bits) {
  return hn::BitCast(d, hn::ShiftLeft<16>(bits));
}

// To the nearest bf16, ties to even; NaN stays NaN. The result lies in the lower half of each lane.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> round_to_bf16(D /*d*/, hn::Vec<D> v) {
  const hn::RebindToUnsigned<D> du;
  const auto bits = hn::BitCast(du, v);
  const auto upper = hn::ShiftRight<16>(bits);
  const auto bias = hn::Add(hn::And(upper, hn::Set(du, 1)), hn::Set(du, 0x7fff));
  const auto rounded = hn::ShiftRight<16>(hn::Add(bits, bias));
  const auto is_nan = hn::RebindMask(du, hn::IsNaN(v));
  return hn::IfThenElse(is_nan, hn::Or(upper, hn::Set(du, 0x40)), rounded);
}

}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
