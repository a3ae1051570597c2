// Functions of one variable, each with its derivative: forward(d, x) = f(x); backward(d, g, s) = g f'(x), where s is
// f(x) if saves_result(op), else x. Included once for each instruction set (core/base/simd.h).
#if defined(TRIREME_CORE_OPS_ELEMENTARY_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIREME_CORE_OPS_ELEMENTARY_INL_H_
#undef TRIREME_CORE_OPS_ELEMENTARY_INL_H_
#else
#define TRIREME_CORE_OPS_ELEMENTARY_INL_H_
#endif

#include <cmath>

#include "trireme/core/ops/elementwise.h"
#include "trireme/core/ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {

using ops::Parameters;

struct Neg {
  template <class D, class V>
  HWY_INLINE V forward(D, V x) const {
    return hn::Neg(x);
  }
  template <class D, class V>
  HWY_INLINE V backward(D, V g, V) const {
    return hn::Neg(g);
  }
};

struct Abs {
  template <class D, class V>
  HWY_INLINE V forward(D, V x) const {
    return hn::Abs(x);
  }
  template <class D, class V>
  HWY_INLINE V backward(D d, V g, V x) const {  // 0 at 0
    return hn::IfThenZeroElse(hn::Eq(x, hn::Zero(d)), hn::Xor(g, hn::And(x, hn::SignBit(d))));
  }
};

struct Exp {
  template <class D, class V>
  HWY_INLINE V forward(D d, V x) const {
    return exp(d, x);
  }
  template <class D, class V>
  HWY_INLINE V backward(D, V g, V y) const {
    return hn::Mul(g, y);
  }
};

struct Log {
  template <class D, class V>
  HWY_INLINE V forward(D d, V x) const {
    // hn::Log is made for finite positive numbers; -infinity at 0 and NaN below it are put in here.
    const auto y = hn::IfThenElse(hn::Lt(x, hn::Inf(d)), hn::Log(d, x), x);
    const auto edge = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Neg(hn::Inf(d)), hn::NaN(d));
    return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), y, edge);
  }
  template <class D, class V>
  HWY_INLINE V backward(D, V g, V x) const {
    return hn::Div(g, x);
  }
};

struct Sqrt {
  template <class D, class V>
  HWY_INLINE V forward(D, V x) const {
    return hn::Sqrt(x);
  }
  template <class D, class V>
  HWY_INLINE V backward(D, V g, V y) const {
    return hn::Div(g, hn::Add(y, y));
  }
};

struct Tanh {
  template <class D, class V>
  HWY_INLINE V forward(D d, V x) const {
    return fast_tanh(d, x);
  }
  template <class D, class V>
  HWY_INLINE V backward(D d, V g, V y) const {
    return hn::Mul(g, hn::NegMulAdd(y, y, hn::Set(d, 1)));
  }
};

struct Sigmoid {
  template <class D, class V>
  HWY_INLINE V forward(D d, V x) const {
    return sigmoid(d, x);
  }
  template <class D, class V>
  HWY_INLINE V backward(D, V g, V y) const {
    return hn::Mul(g, hn::NegMulAdd(y, y, y));
  }
};

struct Silu {
  template <class D, class V>
  HWY_INLINE V forward(D d, V x) const {
    return hn::Mul(x, sigmoid(d, x));
  }
  template <class D, class V>
  HWY_INLINE V backward(D d, V g, V x) const {  // s (1 + x (1 - s))
    const auto s = sigmoid(d, x);
    return hn::Mul(g, hn::Mul(s, hn::MulAdd(x, hn::Sub(hn::Set(d, 1), s), hn::Set(d, 1))));
  }
};

struct Relu {
  template <class D, class V>
  HWY_INLINE V forward(D d, V x) const {  // NaN stays NaN
    return hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
  }
  template <class D, class V>
  HWY_INLINE V backward(D d, V g, V y) const {
    return hn::IfThenElseZero(hn::Gt(y, hn::Zero(d)), g);
  }
};

struct Clamp {
  Parameters bounds;
  template <class D, class V>
  HWY_INLINE V forward(D d, V x) const {
    using T = hn::TFromD<D>;
    const auto low = hn::Set(d, static_cast<T>(bounds.a));
    const auto high = hn::Set(d, static_cast<T>(bounds.b));
    return hn::IfThenElse(hn::Lt(x, low), low, hn::IfThenElse(hn::Gt(x, high), high, x));
  }
  template <class D, class V>
  HWY_INLINE V backward(D d, V g, V x) const {
    using T = hn::TFromD<D>;
    const auto outside =
        hn::Or(hn::Lt(x, hn::Set(d, static_cast<T>(bounds.a))), hn::Gt(x, hn::Set(d, static_cast<T>(bounds.b))));
    return hn::IfThenZeroElse(outside, g);
  }
};

// x^p. Whole and half exponents of everyday use are exact products and roots; others go through the C library.
struct Pow {
  Parameters exponent;
  template <class D, class V>
  HWY_INLINE V forward(D d, V x) const {
    return power(d, x, exponent.a);
  }
  template <class D, class V>
  HWY_INLINE V backward(D d, V g, V x) const {
    if (exponent.a == 0) {
      return hn::Zero(d);
    }
    return hn::Mul(g, hn::Mul(hn::Set(d, static_cast<hn::TFromD<D>>(exponent.a)), power(d, x, exponent.a - 1)));
  }

 private:
  template <class D, class V>
  static HWY_INLINE V power(D d, V x, double p) {
    using T = hn::TFromD<D>;
    const auto one = hn::Set(d, T{1});
    if (p == 0) {
      return one;
    }
    if (p == 1) {
      return x;
    }
    if (p == 2) {
      return hn::Mul(x, x);
    }
    if (p == 3) {
      return hn::Mul(hn::Mul(x, x), x);
    }
    if (p == 0.5) {
      return hn::Sqrt(x);
    }
    if (p == -0.5) {
      return hn::Div(one, hn::Sqrt(x));
    }
    if (p == -1) {
      return hn::Div(one, x);
    }
    if (p == -2) {
      return hn::Div(one, hn::Mul(x, x));
    }
    HWY_ALIGN T lanes[hn::MaxLanes(d)];
    hn::Store(x, d, lanes);
    for (T& lane : lanes) {
      lane = static_cast<T>(std::pow(static_cast<double>(lane), p));
    }
    return hn::Load(d, lanes);
  }
};

}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
