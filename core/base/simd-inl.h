// Helpers of Highway kernels: tails that run the vector code, and loops made of them. Included once for each
// instruction set (core/base/simd.h), hence no #pragma once.
//
// The bits of an element never depend on its position, on the length of the slice or on its alignment: the last,
// partial vector runs the same instructions as the others, with its missing lanes zero.
#if defined(TRIREME_CORE_BASE_SIMD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIREME_CORE_BASE_SIMD_INL_H_
#undef TRIREME_CORE_BASE_SIMD_INL_H_
#else
#define TRIREME_CORE_BASE_SIMD_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// True where the instruction set has loads and stores that do not touch masked-out memory for lanes of T. Highway's
// scalar ones touch it.
template <class T>
inline constexpr bool kMasksMemory = HWY_MEM_OPS_MIGHT_FAULT == 0 && HWY_TARGET != HWY_SCALAR && sizeof(T) >= 4;

// p[0, count) and zeros. REQUIRES: count <= Lanes(d). Touches no other memory.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> load_tail(D d, const T* p, std::size_t count) {
  if constexpr (kMasksMemory<T>) {
    return hn::MaskedLoad(hn::FirstN(d, count), d, p);
  } else {
    HWY_ALIGN T lanes[hn::MaxLanes(d)] = {};
    std::memcpy(lanes, p, count * sizeof(T));
    return hn::Load(d, lanes);
  }
}

// Writes the first `count` lanes. REQUIRES: count <= Lanes(d). Touches no other memory.
template <class D, class T = hn::TFromD<D>>
HWY_INLINE void store_tail(hn::Vec<D> v, D d, T* p, std::size_t count) {
  if constexpr (kMasksMemory<T>) {
    hn::BlendedStore(v, hn::FirstN(d, count), d, p);
  } else {
    HWY_ALIGN T lanes[hn::MaxLanes(d)];
    hn::Store(v, d, lanes);
    std::memcpy(p, lanes, count * sizeof(T));
  }
}

// out[i] = f(in[i]...) for i in [0, count). `f` takes and returns vectors of d (mark lambdas with HWY_ATTR). `out` may
// be one of `in`; otherwise they must not overlap.
template <class D, class F, class... In>
HWY_INLINE void transform(D d, std::int64_t count, hn::TFromD<D>* out, const F& f, const In*... in) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(f(hn::LoadU(d, in + i)...), d, out + i);
  }
  if (i < count) {
    const auto left = static_cast<std::size_t>(count - i);
    store_tail(f(load_tail(d, in + i, left)...), d, out + i, left);
  }
}

// Calls step(v...) for the vectors of in[0, count)..., the last padded by `count % Lanes(d)` zeros: for sums, where a
// zero changes nothing. Steps run in order of position.
template <class D, class F, class... In>
HWY_INLINE void for_each_vector(D d, std::int64_t count, const F& step, const In*... in) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    step(hn::LoadU(d, in + i)...);
  }
  if (i < count) {
    step(load_tail(d, in + i, static_cast<std::size_t>(count - i))...);
  }
}

// The sum, the largest, of all lanes as a scalar.
template <class D>
HWY_INLINE hn::TFromD<D> reduce_sum(D d, hn::Vec<D> v) {
  return hn::GetLane(hn::SumOfLanes(d, v));
}
template <class D>
HWY_INLINE hn::TFromD<D> reduce_max(D d, hn::Vec<D> v) {
  return hn::GetLane(hn::MaxOfLanes(d, v));
}

}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
