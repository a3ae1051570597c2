#include "trireme/core/data/pixels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/data/pixels.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

using D = hn::ScalableTag<float>;

// A product with 1/255 may be one bit off; one step of refinement with fused operations gives the rounded quotient of
// each of the 256 values (the test compares them all). Without fused operations: a division.
HWY_INLINE hn::Vec<D> by_255(hn::Vec<D> x) {
  const D d;
#if HWY_TARGET == HWY_SCALAR
  return hn::Div(x, hn::Set(d, 255.0f));
#else
  const auto reciprocal = hn::Set(d, 1.0f / 255.0f);
  const auto quotient = hn::Mul(x, reciprocal);
  return hn::MulAdd(hn::NegMulAdd(quotient, hn::Set(d, 255.0f), x), reciprocal, quotient);
#endif
}

void pixels_kernel(const std::uint8_t* HWY_RESTRICT pixels, std::int64_t count, float* HWY_RESTRICT out) {
  const D d;
  const hn::Rebind<std::int32_t, D> whole;
  const hn::Rebind<std::uint8_t, D> bytes;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto convert = [&](const std::uint8_t* from)
                           HWY_ATTR { return by_255(hn::ConvertTo(d, hn::PromoteTo(whole, hn::LoadU(bytes, from)))); };
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(convert(pixels + i), d, out + i);
  }
  if (i < count) {
    std::uint8_t rest[hn::MaxLanes(D())] = {};
    std::memcpy(rest, pixels + i, static_cast<std::size_t>(count - i));
    store_tail(convert(rest), d, out + i, static_cast<std::size_t>(count - i));
  }
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
namespace {
HWY_EXPORT(pixels_kernel);
}  // namespace

void data::pixels_to_floats(const std::uint8_t* pixels, std::int64_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(pixels_kernel)(pixels, count, out);
}

}  // namespace trireme
#endif
