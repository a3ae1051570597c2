#include "trireme/core/ops/softmax.h"

#include <algorithm>
#include <limits>

#include "trireme/core/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/softmax.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

template <class D, class T = hn::TFromD<D>>
HWY_INLINE T row_max(D d, const T* x, std::int64_t count) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto lowest = hn::Set(d, -std::numeric_limits<T>::infinity());
  auto most = lowest;
  for (std::int64_t i = 0; i < count; i += lanes) {
    const auto left = static_cast<std::size_t>(std::min(lanes, count - i));
    most = hn::Max(most, hn::IfThenElse(hn::FirstN(d, left), load_tail(d, x + i, left), lowest));
  }
  return reduce_max(d, most);
}

// The sum over i of f(in[i]...), where f may return anything for the lanes beyond `count`.
template <class D, class F, class T = hn::TFromD<D>, class... In>
HWY_INLINE T sum_row(D d, std::int64_t count, const F& f, const In*... in) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto total = hn::Zero(d);
  for (std::int64_t i = 0; i < count; i += lanes) {
    const auto left = static_cast<std::size_t>(std::min(lanes, count - i));
    total = hn::Add(total, hn::IfThenElseZero(hn::FirstN(d, left), f(load_tail(d, in + i, left)...)));
  }
  return reduce_sum(d, total);
}

template <class T>
void forward_row(const T* x, T* y, std::int64_t count, bool logarithm) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const V most = hn::Set(d, row_max(d, x, count));
  if (logarithm) {
    const T sum = sum_row(
        d, count, [&](V v) HWY_ATTR { return exp(d, hn::Sub(v, most)); }, x);
    const V log_sum = hn::Log(d, hn::Set(d, sum));
    transform(
        d, count, y, [&](V v) HWY_ATTR { return hn::Sub(hn::Sub(v, most), log_sum); }, x);
    return;
  }
  transform(
      d, count, y, [&](V v) HWY_ATTR { return exp(d, hn::Sub(v, most)); }, x);
  const T sum = sum_row(
      d, count, [](V v) HWY_ATTR { return v; }, y);
  const V scale = hn::Set(d, 1 / sum);
  transform(
      d, count, y, [&](V v) HWY_ATTR { return hn::Mul(v, scale); }, y);
}

// softmax: dx = y (g - sum(g y)); log_softmax: dx = g - e^y sum(g).
template <class T>
void backward_row(const T* g, const T* y, T* dx, std::int64_t count, bool logarithm) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  if (logarithm) {
    const V total = hn::Set(d, sum_row(
                                   d, count, [](V v) HWY_ATTR { return v; }, g));
    transform(
        d, count, dx, [&](V gv, V yv) HWY_ATTR { return hn::NegMulAdd(exp(d, yv), total, gv); }, g, y);
    return;
  }
  const V total = hn::Set(d, sum_row(
                                 d, count, [](V gv, V yv) HWY_ATTR { return hn::Mul(gv, yv); }, g, y));
  transform(
      d, count, dx, [&](V gv, V yv) HWY_ATTR { return hn::Mul(yv, hn::Sub(gv, total)); }, g, y);
}

void forward_f32(const float* x, float* y, std::int64_t count, bool logarithm) { forward_row(x, y, count, logarithm); }
void forward_f64(const double* x, double* y, std::int64_t count, bool logarithm) {
  forward_row(x, y, count, logarithm);
}
void backward_f32(const float* g, const float* y, float* dx, std::int64_t count, bool logarithm) {
  backward_row(g, y, dx, count, logarithm);
}
void backward_f64(const double* g, const double* y, double* dx, std::int64_t count, bool logarithm) {
  backward_row(g, y, dx, count, logarithm);
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {

HWY_EXPORT(forward_f32);
HWY_EXPORT(forward_f64);
HWY_EXPORT(backward_f32);
HWY_EXPORT(backward_f64);

namespace ops {
namespace {

constexpr std::int64_t kTile = 8 << 10;  // elements

void forward(const float* x, float* y, std::int64_t count, bool logarithm) {
  HWY_DYNAMIC_DISPATCH(forward_f32)(x, y, count, logarithm);
}
void forward(const double* x, double* y, std::int64_t count, bool logarithm) {
  HWY_DYNAMIC_DISPATCH(forward_f64)(x, y, count, logarithm);
}
void backward(const float* g, const float* y, float* dx, std::int64_t count, bool logarithm) {
  HWY_DYNAMIC_DISPATCH(backward_f32)(g, y, dx, count, logarithm);
}
void backward(const double* g, const double* y, double* dx, std::int64_t count, bool logarithm) {
  HWY_DYNAMIC_DISPATCH(backward_f64)(g, y, dx, count, logarithm);
}

// Calls f(first element) for each row of the last dim.
template <class F>
void for_each_row(const Array& x, const F& f) {
  const std::int64_t count = x.size(-1);
  if (x.count() == 0) {
    return;
  }
  parallel_for(x.count() / count, std::max<std::int64_t>(1, kTile / count), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      f(row * count);
    }
  });
}

Tensor apply(const char* name, const Tensor& x, int dim, bool logarithm) {
  const int along = x.shape().normalize(dim);
  const Array rows = x.array().transpose(along, -1).contiguous();
  const Array y = Array::empty(rows.shape(), rows.dtype());
  dispatch_real(x.dtype(), name, [&](auto tag) {
    using T = decltype(tag);
    for_each_row(y, [&](std::int64_t i) { forward(rows.data<T>() + i, y.data<T>() + i, y.size(-1), logarithm); });
  });
  return record(name, y.transpose(along, -1).contiguous(), {&x},
                [y, along, logarithm](const Array& gradient, Gradients& gradients) {
                  const Array g = gradient.transpose(along, -1).contiguous();
                  const Array dx = Array::empty(y.shape(), y.dtype());
                  dispatch_real(y.dtype(), "softmax", [&](auto tag) {
                    using T = decltype(tag);
                    for_each_row(y, [&](std::int64_t i) {
                      backward(g.data<T>() + i, y.data<T>() + i, dx.data<T>() + i, y.size(-1), logarithm);
                    });
                  });
                  gradients.add(0, dx.transpose(along, -1));
                });
}

}  // namespace

Tensor softmax(const Tensor& x, int dim) { return apply("softmax", x, dim, false); }
Tensor log_softmax(const Tensor& x, int dim) { return apply("log_softmax", x, dim, true); }

}  // namespace ops
}  // namespace trireme
#endif
