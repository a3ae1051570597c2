#include "trireme/core/ops/gelu.h"

#include "trireme/core/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/gelu.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

constexpr std::int64_t kTile = 16 << 10;
constexpr double kRoot = 0.7978845608028654;  // sqrt(2 / pi)
constexpr double kCube = 0.044715;

// 0.5 (1 + tanh u) is sigmoid(2u): one exponential, and no cancellation for negative u.
template <class T>
void forward(const T* x, T* y, std::int64_t count) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const V linear = hn::Set(d, static_cast<T>(2 * kRoot));
  const V cubic = hn::Set(d, static_cast<T>(2 * kRoot * kCube));
  const auto gelu = [&](V v) HWY_ATTR {
    const V u2 = hn::Mul(v, hn::MulAdd(cubic, hn::Mul(v, v), linear));
    return hn::Mul(v, sigmoid(d, u2));
  };
  transform(d, count, y, gelu, x);
}

// d/dx x s(2u) = s + x s (1 - s) 2 du/dx.
template <class T>
void backward(const T* x, const T* dy, T* dx, std::int64_t count) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const V one = hn::Set(d, 1);
  const V linear = hn::Set(d, static_cast<T>(2 * kRoot));
  const V cubic = hn::Set(d, static_cast<T>(2 * kRoot * kCube));
  const V slope = hn::Set(d, static_cast<T>(6 * kRoot * kCube));
  const auto gradient = [&](V v, V g) HWY_ATTR {
    const V square = hn::Mul(v, v);
    const V s = sigmoid(d, hn::Mul(v, hn::MulAdd(cubic, square, linear)));
    const V du = hn::MulAdd(slope, square, linear);
    const V bend = hn::Mul(hn::Mul(v, du), hn::Sub(one, s));
    return hn::Mul(g, hn::MulAdd(s, bend, s));
  };
  transform(d, count, dx, gradient, x, dy);
}

void gelu_forward(const Array& x, const Array& y) {
  dispatch_real(x.dtype(), "gelu", [&](auto tag) {
    using T = decltype(tag);
    parallel_for(x.count(), kTile, [from = x.data<T>(), to = y.data<T>()](std::int64_t begin, std::int64_t end) {
      forward(from + begin, to + begin, end - begin);
    });
  });
}

void gelu_backward(const Array& x, const Array& dy, const Array& dx) {
  dispatch_real(x.dtype(), "gelu", [&](auto tag) {
    using T = decltype(tag);
    parallel_for(x.count(), kTile,
                 [x = x.data<T>(), dy = dy.data<T>(), dx = dx.data<T>()](std::int64_t begin, std::int64_t end) {
                   backward(x + begin, dy + begin, dx + begin, end - begin);
                 });
  });
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
HWY_EXPORT(gelu_forward);
HWY_EXPORT(gelu_backward);

namespace ops {

Tensor gelu(const Tensor& x) {
  Array input = x.array().contiguous();
  Array out = Array::empty(input.shape(), input.dtype());
  HWY_DYNAMIC_DISPATCH(gelu_forward)(input, out);
  return record("gelu", std::move(out), {&x}, [input = std::move(input)](const Array& gradient, Gradients& gradients) {
    const bool in_place = gradient.is_unique() && gradient.is_contiguous();  // asked before a copy is made below
    const Array dy = gradient.contiguous();
    const Array dx = in_place ? dy : Array::empty(input.shape(), input.dtype());
    HWY_DYNAMIC_DISPATCH(gelu_backward)(input, dy, dx);
    gradients.add(0, dx);
  });
}

}  // namespace ops
}  // namespace trireme
#endif
