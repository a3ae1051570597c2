// Mean squared error.
#pragma once

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// The mean of (x - target)^2 over all elements, a scalar whose weight() is their number. Equal shapes, f32 or f64; the
// target may be a tensor that wants a gradient or plain data. Raises Error for empty input.
Tensor mse_loss(const Tensor& x, const Tensor& target);

}  // namespace trireme::ops
