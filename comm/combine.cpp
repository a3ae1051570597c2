// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/comm/combine.cpp"
#include "trireme/core/base/simd.h"
#include "trireme/core/base/simd-inl.h"
// clang-format on

#include "trireme/comm/combine.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {

using comm::ReduceOp;

// The loop that training lives on. Four vectors a turn: at least a whole cache line of each stream, as two streams that
// collide in the cache otherwise take their lines from each other halfway through. A line that a peer has read must be
// asked back before it can be written; asked for early, many are on their way at once.
template <bool kTwice, class T>
void add(const T* a, const T* b, T* out0, T* out1, std::int64_t count) {
  constexpr std::int64_t kAhead = 1024 / sizeof(T);
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    for (std::int64_t line = 0; line < 4 * lanes; line += 64 / static_cast<std::int64_t>(sizeof(T))) {
      __builtin_prefetch(out0 + i + kAhead + line, 1);
    }
    const auto s0 = hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i));
    const auto s1 = hn::Add(hn::LoadU(d, a + i + lanes), hn::LoadU(d, b + i + lanes));
    const auto s2 = hn::Add(hn::LoadU(d, a + i + 2 * lanes), hn::LoadU(d, b + i + 2 * lanes));
    const auto s3 = hn::Add(hn::LoadU(d, a + i + 3 * lanes), hn::LoadU(d, b + i + 3 * lanes));
    hn::StoreU(s0, d, out0 + i);
    hn::StoreU(s1, d, out0 + i + lanes);
    hn::StoreU(s2, d, out0 + i + 2 * lanes);
    hn::StoreU(s3, d, out0 + i + 3 * lanes);
    if constexpr (kTwice) {
      hn::StoreU(s0, d, out1 + i);
      hn::StoreU(s1, d, out1 + i + lanes);
      hn::StoreU(s2, d, out1 + i + 2 * lanes);
      hn::StoreU(s3, d, out1 + i + 3 * lanes);
    }
  }
  for (; i < count; i += lanes) {
    const auto left = static_cast<std::size_t>(std::min(lanes, count - i));
    const auto s = hn::Add(load_tail(d, a + i, left), load_tail(d, b + i, left));
    store_tail(s, d, out0 + i, left);
    if constexpr (kTwice) {
      store_tail(s, d, out1 + i, left);
    }
  }
}

// Everything else is left to the compiler's vectors: elementwise, without floating-point sums.
template <class T, class F>
void each(const T* a, const T* b, T* out, std::int64_t count, F f) {
#ifndef __clang__  // which does not know it, and looks whether they overlap
#pragma GCC ivdep
#endif
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = static_cast<T>(f(a[i], b[i]));
  }
}

template <class T>
void combine_as(ReduceOp op, const T* a, const T* b, T* out, std::int64_t count) {
  switch (op) {
    case ReduceOp::sum:
      if constexpr (std::is_integral_v<T>) {
        using Unsigned = std::make_unsigned_t<T>;
        each(a, b, out, count, [](T x, T y) HWY_ATTR { return static_cast<Unsigned>(x) + static_cast<Unsigned>(y); });
      }
      return;
    case ReduceOp::product:
      if constexpr (std::is_integral_v<T>) {
        using Unsigned = std::make_unsigned_t<T>;
        each(a, b, out, count, [](T x, T y) HWY_ATTR { return static_cast<Unsigned>(x) * static_cast<Unsigned>(y); });
      } else {
        each(a, b, out, count, [](T x, T y) HWY_ATTR { return x * y; });
      }
      return;
    case ReduceOp::min:
      each(a, b, out, count, [](T x, T y) HWY_ATTR { return y < x ? y : x; });
      return;
    case ReduceOp::max:
      each(a, b, out, count, [](T x, T y) HWY_ATTR { return x < y ? y : x; });
      return;
  }
}

template <class T>
void combine_typed(ReduceOp op, const void* a, const void* b, void* out0, void* out1, std::int64_t count) {
  const T* left = static_cast<const T*>(a);
  const T* right = static_cast<const T*>(b);
  if constexpr (std::is_floating_point_v<T>) {
    if (op == ReduceOp::sum) {
      const auto sum = out1 == nullptr ? add<false, T> : add<true, T>;
      sum(left, right, static_cast<T*>(out0), static_cast<T*>(out1), count);
      return;
    }
  }
  combine_as(op, left, right, static_cast<T*>(out0), count);
  if (out1 != nullptr) {
    std::memcpy(out1, out0, static_cast<std::size_t>(count) * sizeof(T));
  }
}

void combine_kernel(DType dtype, ReduceOp op, const void* a, const void* b, void* out0, void* out1,
                    std::int64_t count) {
  switch (dtype) {
    case DType::f32:
      return combine_typed<float>(op, a, b, out0, out1, count);
    case DType::f64:
      return combine_typed<double>(op, a, b, out0, out1, count);
    case DType::i32:
      return combine_typed<std::int32_t>(op, a, b, out0, out1, count);
    case DType::i64:
      return combine_typed<std::int64_t>(op, a, b, out0, out1, count);
    case DType::u8:
      return combine_typed<std::uint8_t>(op, a, b, out0, out1, count);
    case DType::boolean:  // "or" is max and "and" is min of bytes that are 0 or 1
      return combine_typed<std::uint8_t>(op == ReduceOp::sum || op == ReduceOp::max ? ReduceOp::max : ReduceOp::min, a,
                                         b, out0, out1, count);
    case DType::bf16:
    case DType::f16:
      fail("combine: {} must be widened to f32 first", name_of(dtype));
  }
}

}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
HWY_EXPORT(combine_kernel);
}  // namespace trireme

namespace trireme::comm {

void combine(DType dtype, ReduceOp op, const void* a, const void* b, void* out0, void* out1, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(trireme::combine_kernel)(dtype, op, a, b, out0, out1, count);
}

}  // namespace trireme::comm
#endif
