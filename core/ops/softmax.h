// Softmax and its logarithm along one dim.
#pragma once

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// e^(x - max) / sum along `dim` (negative: from the end). x is f32 or f64, any shape and strides; saves its result.
// The last dim is the fast one; others are moved there and back by a copy.
Tensor softmax(const Tensor& x, int dim);
// log(softmax(x, dim)), without the loss of digits that taking the logarithm afterwards brings.
Tensor log_softmax(const Tensor& x, int dim);

}  // namespace trireme::ops
