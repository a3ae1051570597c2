#include "trireme/core/ops/relu.h"

#include "trireme/core/ops/elementwise.h"

namespace trireme::ops {

Tensor relu(const Tensor& x) {
  Array result = unary(UnaryOp::relu, x.array());
  const Array saved = result;
  return record("relu", std::move(result), {&x}, [saved](const Array& gradient, Gradients& gradients) {
    gradients.add(0, unary_gradient(UnaryOp::relu, gradient, saved));
  });
}

}  // namespace trireme::ops
