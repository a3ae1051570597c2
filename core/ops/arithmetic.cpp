#include "trireme/core/ops/arithmetic.h"

#include "trireme/core/ops/elementwise.h"

namespace trireme::ops {
namespace {

// Most gradients below are of the input's own shape; sum_to() is then free.
void add_summed(Gradients& gradients, int input, const Array& gradient, const Shape& shape) {
  gradients.add(input, sum_to(gradient, shape));
}

Tensor extremum(BinaryOp op, const char* name, const Tensor& a, const Tensor& b) {
  return record(
      name, binary(op, a.array(), b.array(), name), {&a, &b},
      [a = a.array(), b = b.array(), swap = op == BinaryOp::minimum](const Array& gradient, Gradients& gradients) {
        const Array& high = swap ? b : a;
        const Array& low = swap ? a : b;
        if (gradients.wants(0)) {
          add_summed(gradients, 0, ternary(TernaryOp::above, high, low, gradient, "maximum"), a.shape());
        }
        if (gradients.wants(1)) {
          add_summed(gradients, 1, ternary(TernaryOp::above, low, high, gradient, "maximum"), b.shape());
        }
      });
}

// f(x) with f'(x) given by `op`; saves what that needs and nothing else.
Tensor elementary(UnaryOp op, const char* name, const Tensor& x, Parameters parameters = {}) {
  Array result = unary(op, x.array(), parameters);
  const Array saved = saves_result(op) ? result : x.array();
  return record(name, std::move(result), {&x}, [op, parameters, saved](const Array& gradient, Gradients& gradients) {
    gradients.add(0, unary_gradient(op, gradient, saved, parameters));
  });
}

// a f b where the gradient with respect to a is the result's times a constant.
Tensor affine(BinaryOp op, const char* name, const Tensor& a, double b, double slope) {
  return record(name, binary(op, a.array(), b), {&a}, [slope](const Array& gradient, Gradients& gradients) {
    gradients.add(0, slope == 1 ? gradient : binary(BinaryOp::mul, gradient, slope));
  });
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  return record("add", binary(BinaryOp::add, a.array(), b.array(), "add"), {&a, &b},
                [sa = a.shape(), sb = b.shape()](const Array& gradient, Gradients& gradients) {
                  if (gradients.wants(0)) {
                    add_summed(gradients, 0, gradient, sa);
                  }
                  if (gradients.wants(1)) {
                    add_summed(gradients, 1, gradient, sb);
                  }
                });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  return record("sub", binary(BinaryOp::sub, a.array(), b.array(), "sub"), {&a, &b},
                [sa = a.shape(), sb = b.shape()](const Array& gradient, Gradients& gradients) {
                  if (gradients.wants(0)) {
                    add_summed(gradients, 0, gradient, sa);
                  }
                  if (gradients.wants(1)) {
                    gradients.add(1, unary(UnaryOp::neg, sum_to(gradient, sb)));
                  }
                });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  return record("mul", binary(BinaryOp::mul, a.array(), b.array(), "mul"), {&a, &b},
                [a = a.array(), b = b.array()](const Array& gradient, Gradients& gradients) {
                  if (gradients.wants(0)) {
                    add_summed(gradients, 0, binary(BinaryOp::mul, gradient, b, "mul"), a.shape());
                  }
                  if (gradients.wants(1)) {
                    add_summed(gradients, 1, binary(BinaryOp::mul, gradient, a, "mul"), b.shape());
                  }
                });
}

Tensor div(const Tensor& a, const Tensor& b) {
  Array result = binary(BinaryOp::div, a.array(), b.array(), "div");
  const Array quotient = result;
  return record("div", std::move(result), {&a, &b},
                [quotient, sa = a.shape(), b = b.array()](const Array& gradient, Gradients& gradients) {
                  if (gradients.wants(0)) {
                    add_summed(gradients, 0, binary(BinaryOp::div, gradient, b, "div"), sa);
                  }
                  if (gradients.wants(1)) {
                    add_summed(gradients, 1, ternary(TernaryOp::quotient, gradient, quotient, b, "div"), b.shape());
                  }
                });
}

Tensor maximum(const Tensor& a, const Tensor& b) { return extremum(BinaryOp::maximum, "maximum", a, b); }
Tensor minimum(const Tensor& a, const Tensor& b) { return extremum(BinaryOp::minimum, "minimum", a, b); }

Tensor add(const Tensor& a, double b) { return affine(BinaryOp::add, "add", a, b, 1); }
Tensor sub(const Tensor& a, double b) { return affine(BinaryOp::sub, "sub", a, b, 1); }
Tensor mul(const Tensor& a, double b) { return affine(BinaryOp::mul, "mul", a, b, b); }
Tensor div(const Tensor& a, double b) { return affine(BinaryOp::div, "div", a, b, 1 / b); }

Tensor sub(double a, const Tensor& b) {
  return record("sub", binary(BinaryOp::sub, a, b.array()), {&b},
                [](const Array& gradient, Gradients& gradients) { gradients.add(0, unary(UnaryOp::neg, gradient)); });
}

Tensor div(double a, const Tensor& b) {
  Array result = binary(BinaryOp::div, a, b.array());
  const Array quotient = result;
  return record("div", std::move(result), {&b}, [quotient, b = b.array()](const Array& gradient, Gradients& gradients) {
    gradients.add(0, ternary(TernaryOp::quotient, gradient, quotient, b, "div"));
  });
}

Tensor neg(const Tensor& x) { return elementary(UnaryOp::neg, "neg", x); }
Tensor abs(const Tensor& x) { return elementary(UnaryOp::abs, "abs", x); }
Tensor exp(const Tensor& x) { return elementary(UnaryOp::exp, "exp", x); }
Tensor log(const Tensor& x) { return elementary(UnaryOp::log, "log", x); }
Tensor sqrt(const Tensor& x) { return elementary(UnaryOp::sqrt, "sqrt", x); }
Tensor tanh(const Tensor& x) { return elementary(UnaryOp::tanh, "tanh", x); }
Tensor sigmoid(const Tensor& x) { return elementary(UnaryOp::sigmoid, "sigmoid", x); }
Tensor silu(const Tensor& x) { return elementary(UnaryOp::silu, "silu", x); }
Tensor pow(const Tensor& x, double exponent) { return elementary(UnaryOp::pow, "pow", x, {exponent, 0}); }

Tensor clamp(const Tensor& x, double low, double high) {
  require(low <= high, "clamp: bounds {} and {} given, the first must not be above the second", low, high);
  return elementary(UnaryOp::clamp, "clamp", x, {low, high});
}

Tensor where(const Array& condition, const Tensor& a, const Tensor& b) {
  const Array mask = condition.to(DType::boolean).to(a.dtype());
  return record("where", ternary(TernaryOp::where, mask, a.array(), b.array(), "where"), {&a, &b},
                [mask, sa = a.shape(), sb = b.shape()](const Array& gradient, Gradients& gradients) {
                  const Array zero = Array::zeros({}, gradient.dtype());
                  if (gradients.wants(0)) {
                    add_summed(gradients, 0, ternary(TernaryOp::where, mask, gradient, zero, "where"), sa);
                  }
                  if (gradients.wants(1)) {
                    add_summed(gradients, 1, ternary(TernaryOp::where, mask, zero, gradient, "where"), sb);
                  }
                });
}

}  // namespace trireme::ops
