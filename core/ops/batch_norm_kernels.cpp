#include "trireme/core/ops/batch_norm_kernels.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/batch_norm_kernels.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

constexpr std::int64_t kRun = 4096;  // elements summed in T before the sum goes on in f64

// The sum of f(in[i]...) with two accumulators; `f` must give 0 for the zeros that fill up a tail, so each vector is
// masked there.
template <class T, class F, class... In>
HWY_INLINE double sum_row(std::int64_t count, const F& f, const In*... in) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  double total = 0;
  for (std::int64_t run = 0; run < count; run += kRun) {
    const std::int64_t end = std::min(run + kRun, count);
    auto s0 = hn::Zero(d);
    auto s1 = hn::Zero(d);
    std::int64_t i = run;
    for (; i + 2 * lanes <= end; i += 2 * lanes) {
      s0 = f(d, s0, hn::LoadU(d, in + i)...);
      s1 = f(d, s1, hn::LoadU(d, in + i + lanes)...);
    }
    for (; i < end; i += lanes) {
      const auto left = static_cast<std::size_t>(std::min(lanes, end - i));
      s0 = hn::IfThenElse(hn::FirstN(d, left), f(d, s0, load_tail(d, in + i, left)...), s0);
    }
    total += static_cast<double>(reduce_sum(d, hn::Add(s0, s1)));
  }
  return total;
}

template <class T>
double square(const T* x, std::int64_t count, T mean) {
  return sum_row<T>(
      count,
      [mean](auto d, auto sum, auto v) HWY_ATTR {
        const auto centered = hn::Sub(v, hn::Set(d, mean));
        return hn::MulAdd(centered, centered, sum);
      },
      x);
}
template <class T>
double product(const T* g, const T* x, std::int64_t count, T mean) {
  return sum_row<T>(
      count,
      [mean](auto d, auto sum, auto gv, auto v) HWY_ATTR { return hn::MulAdd(gv, hn::Sub(v, hn::Set(d, mean)), sum); },
      g, x);
}
template <class T>
void normalize(const T* x, T* y, std::int64_t count, T mean, T scale, T shift) {
  const hn::ScalableTag<T> d;
  const auto vm = hn::Set(d, mean), vs = hn::Set(d, scale), vt = hn::Set(d, shift);
  transform(
      d, count, y, [=](auto v) HWY_ATTR { return hn::MulAdd(hn::Sub(v, vm), vs, vt); }, x);
}
template <class T>
void gradient(const T* g, const T* x, T* dx, std::int64_t count, T g_mean, T scale, T mean, T slope) {
  const hn::ScalableTag<T> d;
  const auto vg = hn::Set(d, g_mean), vs = hn::Set(d, scale), vm = hn::Set(d, mean), vl = hn::Set(d, slope);
  transform(
      d, count, dx,
      [=](auto gv, auto v) HWY_ATTR { return hn::MulAdd(hn::Sub(gv, vg), vs, hn::Mul(hn::Sub(v, vm), vl)); }, g, x);
}

#define TRIREME_ENTRIES(T, suffix)                                                                            \
  double square_##suffix(const T* x, std::int64_t n, T mean) { return square(x, n, mean); }                   \
  double product_##suffix(const T* g, const T* x, std::int64_t n, T mean) { return product(g, x, n, mean); }  \
  void normalize_##suffix(const T* x, T* y, std::int64_t n, T mean, T scale, T shift) {                       \
    normalize(x, y, n, mean, scale, shift);                                                                   \
  }                                                                                                           \
  void gradient_##suffix(const T* g, const T* x, T* dx, std::int64_t n, T g_mean, T scale, T mean, T slope) { \
    gradient(g, x, dx, n, g_mean, scale, mean, slope);                                                        \
  }
TRIREME_ENTRIES(float, f32)
TRIREME_ENTRIES(double, f64)
#undef TRIREME_ENTRIES

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {

HWY_EXPORT(square_f32);
HWY_EXPORT(square_f64);
HWY_EXPORT(product_f32);
HWY_EXPORT(product_f64);
HWY_EXPORT(normalize_f32);
HWY_EXPORT(normalize_f64);
HWY_EXPORT(gradient_f32);
HWY_EXPORT(gradient_f64);

namespace ops {

template <>
double centered_square_row(const float* x, std::int64_t count, float mean) {
  return HWY_DYNAMIC_DISPATCH(square_f32)(x, count, mean);
}
template <>
double centered_square_row(const double* x, std::int64_t count, double mean) {
  return HWY_DYNAMIC_DISPATCH(square_f64)(x, count, mean);
}
template <>
double centered_product_row(const float* g, const float* x, std::int64_t count, float mean) {
  return HWY_DYNAMIC_DISPATCH(product_f32)(g, x, count, mean);
}
template <>
double centered_product_row(const double* g, const double* x, std::int64_t count, double mean) {
  return HWY_DYNAMIC_DISPATCH(product_f64)(g, x, count, mean);
}
template <>
void normalize_row(const float* x, float* y, std::int64_t count, float mean, float scale, float shift) {
  HWY_DYNAMIC_DISPATCH(normalize_f32)(x, y, count, mean, scale, shift);
}
template <>
void normalize_row(const double* x, double* y, std::int64_t count, double mean, double scale, double shift) {
  HWY_DYNAMIC_DISPATCH(normalize_f64)(x, y, count, mean, scale, shift);
}
template <>
void normalize_gradient_row(const float* g, const float* x, float* dx, std::int64_t count, float g_mean, float scale,
                            float mean, float slope) {
  HWY_DYNAMIC_DISPATCH(gradient_f32)(g, x, dx, count, g_mean, scale, mean, slope);
}
template <>
void normalize_gradient_row(const double* g, const double* x, double* dx, std::int64_t count, double g_mean,
                            double scale, double mean, double slope) {
  HWY_DYNAMIC_DISPATCH(gradient_f64)(g, x, dx, count, g_mean, scale, mean, slope);
}

}  // namespace ops
}  // namespace trireme
#endif
