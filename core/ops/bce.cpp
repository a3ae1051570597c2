#include "trireme/core/ops/bce.h"

#include "trireme/core/ops/elementwise.h"
#include "trireme/core/ops/reduction.h"

namespace trireme::ops {

Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Array& targets) {
  constexpr const char* kName = "binary_cross_entropy_with_logits";
  require(logits.shape() == targets.shape() && logits.count() > 0,
          "{}: {} and targets {} given; equal shapes with elements expected", kName, logits.array(), targets);
  const auto terms = static_cast<double>(logits.count());
  const Array each = binary(BinaryOp::bce_logits, logits.array(), targets, kName);
  Array loss = reduce(Reduction::sum, each.reshape({logits.count()}), DimSet::all(1)).reshape({});
  binary_in_place(BinaryOp::div, loss, terms);
  Tensor result = record(kName, std::move(loss), {&logits},
                         [x = logits.array(), targets, terms](const Array& gradient, Gradients& gradients) {
                           Array slope = binary(BinaryOp::bce_slope, x, targets, kName);
                           binary_in_place(BinaryOp::mul, slope, gradient.item() / terms);
                           gradients.add(0, std::move(slope));
                         });
  return result.set_weight(terms, false);
}

}  // namespace trireme::ops
