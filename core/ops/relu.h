// relu(x) = max(x, 0); the gradient is 1 where x > 0, else 0. NaN stays NaN.
#pragma once

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// x is f32 or f64, any shape and strides. Saves its result, not its input, for backward.
Tensor relu(const Tensor& x);

}  // namespace trireme::ops
