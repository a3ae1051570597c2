#include "trireme/core/ops/mse.h"

#include "trireme/core/ops/elementwise.h"
#include "trireme/core/ops/reduction.h"

namespace trireme::ops {

Tensor mse_loss(const Tensor& x, const Tensor& target) {
  require(x.shape() == target.shape() && x.count() > 0,
          "mse_loss: {} and target {} given; equal shapes with elements expected", x.array(), target.array());
  const auto terms = static_cast<double>(x.count());
  const Array difference = binary(BinaryOp::sub, x.array(), target.array(), "mse_loss");
  const Array squares = binary(BinaryOp::mul, difference, difference, "mse_loss");
  Array loss = reduce(Reduction::sum, squares.reshape({x.count()}), DimSet::all(1)).reshape({});
  binary_in_place(BinaryOp::div, loss, terms);
  Tensor result = record("mse_loss", std::move(loss), {&x, &target},
                         [difference, terms](const Array& gradient, Gradients& gradients) {
                           const double slope = 2 * gradient.item() / terms;
                           if (gradients.wants(0)) {
                             gradients.add(0, binary(BinaryOp::mul, difference, slope));
                           }
                           if (gradients.wants(1)) {
                             gradients.add(1, binary(BinaryOp::mul, difference, -slope));
                           }
                         });
  return result.set_weight(terms, false);
}

}  // namespace trireme::ops
