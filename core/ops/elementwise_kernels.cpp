#include "trireme/core/ops/elementwise_kernels.h"

#include "trireme/core/base/dtype.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/elementwise_kernels.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/ops/elementary-inl.h"
#include "trireme/core/ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

using ops::BinaryOp;
using ops::Operand;
using ops::TernaryOp;
using ops::UnaryOp;

template <class Visit>
HWY_INLINE void visit(UnaryOp op, Parameters parameters, const Visit& visit) {
  switch (op) {
    case UnaryOp::neg:
      return visit(Neg{});
    case UnaryOp::abs:
      return visit(Abs{});
    case UnaryOp::exp:
      return visit(Exp{});
    case UnaryOp::log:
      return visit(Log{});
    case UnaryOp::sqrt:
      return visit(Sqrt{});
    case UnaryOp::tanh:
      return visit(Tanh{});
    case UnaryOp::sigmoid:
      return visit(Sigmoid{});
    case UnaryOp::silu:
      return visit(Silu{});
    case UnaryOp::relu:
      return visit(Relu{});
    case UnaryOp::pow:
      return visit(Pow{parameters});
    case UnaryOp::clamp:
      return visit(Clamp{parameters});
  }
}

template <class T>
void unary(UnaryOp op, const T* x, T* out, std::int64_t count, Parameters parameters) {
  const hn::ScalableTag<T> d;
  visit(op, parameters, [&](auto f) HWY_ATTR {
    transform(
        d, count, out, [&](auto v) HWY_ATTR { return f.forward(d, v); }, x);
  });
}

template <class T>
void unary_gradient(UnaryOp op, const T* gradient, const T* saved, T* out, std::int64_t count, Parameters parameters) {
  const hn::ScalableTag<T> d;
  visit(op, parameters, [&](auto f) HWY_ATTR {
    transform(
        d, count, out, [&](auto g, auto s) HWY_ATTR { return f.backward(d, g, s); }, gradient, saved);
  });
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V nan_or(D, V nan, V other) {
  return hn::IfThenElse(hn::Eq(nan, nan), other, nan);
}

// max(x, 0) - x t + log(1 + e^-|x|): no overflow for any x.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V bce_logits(D d, V x, V t) {
  const auto softplus = hn::Log1p(d, exp(d, hn::Neg(hn::Abs(x))));
  return hn::Add(hn::NegMulAdd(x, t, hn::Max(x, hn::Zero(d))), softplus);
}

template <class D, class Visit>
HWY_INLINE void visit(D d, BinaryOp op, const Visit& visit) {
  using V = hn::Vec<D>;
  switch (op) {
    case BinaryOp::add:
      return visit([](V a, V b) HWY_ATTR { return hn::Add(a, b); });
    case BinaryOp::sub:
      return visit([](V a, V b) HWY_ATTR { return hn::Sub(a, b); });
    case BinaryOp::mul:
      return visit([](V a, V b) HWY_ATTR { return hn::Mul(a, b); });
    case BinaryOp::div:
      return visit([](V a, V b) HWY_ATTR { return hn::Div(a, b); });
    case BinaryOp::maximum:  // NaN if either is
      return visit([=](V a, V b) HWY_ATTR { return nan_or(d, a, nan_or(d, b, hn::Max(a, b))); });
    case BinaryOp::minimum:
      return visit([=](V a, V b) HWY_ATTR { return nan_or(d, a, nan_or(d, b, hn::Min(a, b))); });
    case BinaryOp::equal:
      return visit([=](V a, V b) HWY_ATTR { return hn::IfThenElseZero(hn::Eq(a, b), hn::Set(d, 1)); });
    case BinaryOp::bce_logits:
      return visit([=](V a, V b) HWY_ATTR { return bce_logits(d, a, b); });
    case BinaryOp::bce_slope:
      return visit([=](V a, V b) HWY_ATTR { return hn::Sub(sigmoid(d, a), b); });
  }
}

template <class T>
void binary(BinaryOp op, Operand a, Operand b, T* out, std::int64_t count) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto* pa = static_cast<const T*>(a.data);
  const auto* pb = static_cast<const T*>(b.data);
  visit(d, op, [&](auto f) HWY_ATTR {
    if (a.step == 1 && b.step == 1) {
      transform(d, count, out, f, pa, pb);
    } else if (a.step == 1) {
      const V vb = hn::Set(d, *pb);
      transform(
          d, count, out, [&](V v) HWY_ATTR { return f(v, vb); }, pa);
    } else {
      const V va = hn::Set(d, *pa);
      if (b.step == 1) {
        transform(
            d, count, out, [&](V v) HWY_ATTR { return f(va, v); }, pb);
      } else {
        const V value = f(va, hn::Set(d, *pb));
        transform(d, count, out, [&]() HWY_ATTR { return value; });
      }
    }
  });
}

template <class T>
void ternary(TernaryOp op, Operand a, Operand b, Operand c, T* out, std::int64_t count) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto run = [&](auto f) HWY_ATTR {
    const auto* pa = static_cast<const T*>(a.data);
    const auto* pb = static_cast<const T*>(b.data);
    const auto* pc = static_cast<const T*>(c.data);
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const auto load = [&](const T* p, int step, std::int64_t i) HWY_ATTR {
      const std::int64_t left = count - i;
      return step == 0 ? hn::Set(d, *p)
                       : (left >= lanes ? hn::LoadU(d, p + i) : load_tail(d, p + i, static_cast<std::size_t>(left)));
    };
    for (std::int64_t i = 0; i < count; i += lanes) {
      const V v = f(load(pa, a.step, i), load(pb, b.step, i), load(pc, c.step, i));
      if (count - i >= lanes) {
        hn::StoreU(v, d, out + i);
      } else {
        store_tail(v, d, out + i, static_cast<std::size_t>(count - i));
      }
    }
  };
  switch (op) {
    case TernaryOp::where:
      return run([&](V x, V y, V z) HWY_ATTR { return hn::IfThenElse(hn::Ne(x, hn::Zero(d)), y, z); });
    case TernaryOp::above:
      return run([&](V x, V y, V z) HWY_ATTR {
        const V half = hn::IfThenElseZero(hn::Eq(x, y), hn::Mul(z, hn::Set(d, static_cast<T>(0.5))));
        return hn::IfThenElse(hn::Gt(x, y), z, half);
      });
    case TernaryOp::quotient:
      return run([&](V x, V y, V z) HWY_ATTR { return hn::Neg(hn::Div(hn::Mul(x, y), z)); });
  }
}

// The entries of the dispatch tables: both dtypes behind one pointer.
void unary_any(UnaryOp op, bool f32, const void* x, void* out, std::int64_t count, Parameters parameters) {
  f32 ? unary(op, static_cast<const float*>(x), static_cast<float*>(out), count, parameters)
      : unary(op, static_cast<const double*>(x), static_cast<double*>(out), count, parameters);
}
void gradient_any(UnaryOp op, bool f32, const void* g, const void* s, void* out, std::int64_t count,
                  Parameters parameters) {
  f32 ? unary_gradient(op, static_cast<const float*>(g), static_cast<const float*>(s), static_cast<float*>(out), count,
                       parameters)
      : unary_gradient(op, static_cast<const double*>(g), static_cast<const double*>(s), static_cast<double*>(out),
                       count, parameters);
}
void binary_any(BinaryOp op, bool f32, Operand a, Operand b, void* out, std::int64_t count) {
  f32 ? binary(op, a, b, static_cast<float*>(out), count) : binary(op, a, b, static_cast<double*>(out), count);
}
void ternary_any(TernaryOp op, bool f32, Operand a, Operand b, Operand c, void* out, std::int64_t count) {
  f32 ? ternary(op, a, b, c, static_cast<float*>(out), count) : ternary(op, a, b, c, static_cast<double*>(out), count);
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {

HWY_EXPORT(unary_any);
HWY_EXPORT(gradient_any);
HWY_EXPORT(binary_any);
HWY_EXPORT(ternary_any);

namespace ops {

void unary_row(UnaryOp op, DType dtype, const void* x, void* out, std::int64_t count, Parameters parameters) {
  HWY_DYNAMIC_DISPATCH(unary_any)(op, dtype == DType::f32, x, out, count, parameters);
}
void unary_gradient_row(UnaryOp op, DType dtype, const void* gradient, const void* saved, void* out, std::int64_t count,
                        Parameters parameters) {
  HWY_DYNAMIC_DISPATCH(gradient_any)(op, dtype == DType::f32, gradient, saved, out, count, parameters);
}
void binary_row(BinaryOp op, DType dtype, Operand a, Operand b, void* out, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(binary_any)(op, dtype == DType::f32, a, b, out, count);
}
void ternary_row(TernaryOp op, DType dtype, Operand a, Operand b, Operand c, void* out, std::int64_t count) {
  HWY_DYNAMIC_DISPATCH(ternary_any)(op, dtype == DType::f32, a, b, c, out, count);
}

bool saves_result(UnaryOp op) {
  return op == UnaryOp::exp || op == UnaryOp::sqrt || op == UnaryOp::tanh || op == UnaryOp::sigmoid ||
         op == UnaryOp::relu;
}

}  // namespace ops
}  // namespace trireme
#endif
