// Layer normalization over the last dim. Ba, Kiros and Hinton, 2016.
#pragma once

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// y = (x - mean) / sqrt(variance + eps) * weight + bias for every row of x [.., C]; the variance is the biased one.
// weight and bias are [C]; f32 or f64, or both bf16 beside an f32 x. Keeps x and two numbers a row for backward. The
// gradients of weight and bias are sums over tiles of rows whose size is fixed, so their bits do not depend on the
// number of threads.
Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps);

}  // namespace trireme::ops
