#include "trireme/core/array/bf16_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/array/bf16_rows.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/bf16-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

void round_row(const float* from, BFloat16* to, std::int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    store_bf16(round_to_bf16(d, hn::LoadU(d, from + i)), d, to + i);
  }
  if (i < count) {
    const auto left = static_cast<std::size_t>(count - i);
    store_bf16_tail(round_to_bf16(d, load_tail(d, from + i, left)), d, to + i, left);
  }
}

void widen_row(const BFloat16* from, float* to, std::int64_t count) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(widen_bf16(d, load_bf16(d, from + i)), d, to + i);
  }
  if (i < count) {
    const auto left = static_cast<std::size_t>(count - i);
    store_tail(widen_bf16(d, load_bf16_tail(d, from + i, left)), d, to + i, left);
  }
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
HWY_EXPORT(round_row);
HWY_EXPORT(widen_row);

void round_row(const float* from, BFloat16* to, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(round_row)(from, to, count);
}

void widen_row(const BFloat16* from, float* to, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(widen_row)(from, to, count);
}

}  // namespace trireme
#endif
