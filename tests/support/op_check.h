// One call checks an op: numerical gradient in float64, f32 against f64, non-contiguous inputs, repeated runs.
#pragma once

#include <functional>
#include <vector>

#include "trireme/core/autograd/tensor.h"

namespace trireme::test {

using OpFunction = std::function<Tensor(const std::vector<Tensor>&)>;

struct OpCheck {
  double step = 1e-4;                     // of the central difference
  double gradient_tolerance = 1e-6;       // |numerical - analytic| <= tolerance * max(1, largest gradient)
  double f32_tolerance = 1e-5;            // f32 result and gradients against f64, likewise scaled
  std::vector<bool> differentiable = {};  // per input; empty: all
  bool non_contiguous = true;             // also run with inputs that are transposed views
};

// `inputs` are f64 arrays. Uses gtest expectations; failures name the input and the element.
void check_op(const OpFunction& op, const std::vector<Array>& inputs, const OpCheck& options = {});

// Reproducible values in [low, high), f64.
Array random_array(const Shape& shape, std::uint64_t seed, double low = -1, double high = 1);

}  // namespace trireme::test
