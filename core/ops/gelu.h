// GELU in the tanh form of GPT-2: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). Hendrycks and Gimpel, 2016.
#pragma once

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// Elementwise, f32 or f64. Keeps x for backward, which writes over the incoming gradient where nobody else holds it.
Tensor gelu(const Tensor& x);

}  // namespace trireme::ops
