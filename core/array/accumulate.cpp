#include "trireme/core/array/accumulate.h"

#include <algorithm>
#include <type_traits>

#include "trireme/core/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/array/accumulate.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/bf16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

constexpr std::int64_t kTile = 64 << 10;

// f32, f64 and integers in vectors. Integers wrap around; their lanes are added as unsigned, which has no overflow.
template <class T>
void add_vectors(T* target, const T* source, std::int64_t count) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto sum = [](V a, V b) HWY_ATTR { return hn::Add(a, b); };
  transform(d, count, target, sum, static_cast<const T*>(target), source);
}

// bf16 in vectors: added in f32 and rounded once.
void add_bf16(BFloat16* target, const BFloat16* source, std::int64_t count) {
  const hn::ScalableTag<float> d;
  using Bits = hn::Vec<hn::RebindToUnsigned<decltype(d)>>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto sum = [&](Bits a, Bits b)
                       HWY_ATTR { return round_to_bf16(d, hn::Add(widen_bf16(d, a), widen_bf16(d, b))); };
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    store_bf16(sum(load_bf16(d, target + i), load_bf16(d, source + i)), d, target + i);
  }
  if (i < count) {
    const auto left = static_cast<std::size_t>(count - i);
    store_bf16_tail(sum(load_bf16_tail(d, target + i, left), load_bf16_tail(d, source + i, left)), d, target + i, left);
  }
}

// An element at a time. f16 is added in f32 and rounded once.
template <class T>
void add_elements(T* target, const T* source, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    if constexpr (std::is_same_v<T, Float16>) {
      target[i] = T(static_cast<float>(target[i]) + static_cast<float>(source[i]));
    } else {
      target[i] = target[i] || source[i];
    }
  }
}

template <class T>
void add(T* target, const T* source, std::int64_t count) {
  if constexpr (std::is_same_v<T, BFloat16>) {
    add_bf16(target, source, count);
  } else if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, bool>) {
    add_elements(target, source, count);
  } else if constexpr (std::is_integral_v<T>) {
    using U = std::make_unsigned_t<T>;
    add_vectors(reinterpret_cast<U*>(target), reinterpret_cast<const U*>(source), count);
  } else {
    add_vectors(target, source, count);
  }
}

void accumulate(const Array& target, const Array& source) {
  dispatch_all(target.dtype(), [&](auto tag) {
    using T = decltype(tag);
    parallel_for(target.count(), kTile,
                 [to = target.data<T>(), from = source.data<T>()](std::int64_t begin, std::int64_t end) {
                   add(to + begin, from + begin, end - begin);
                 });
  });
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {

HWY_EXPORT(accumulate);

void accumulate(const Array& target, const Array& source) {
  require(target.shape() == source.shape() && target.dtype() == source.dtype() && target.is_contiguous() &&
              source.is_contiguous(),
          "accumulate: {} given, contiguous {} expected", source, target);
  if (target.count() > 0) {
    HWY_DYNAMIC_DISPATCH(accumulate)(target, source);
  }
}

}  // namespace trireme
#endif
