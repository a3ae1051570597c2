// Products of matrices and of batches of matrices.
#pragma once

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// [.., M, K] x [.., K, N] -> [.., M, N]; the dims before the last two are broadcast as NumPy does. f32 or f64, or one
// of them bf16 and the other bf16 or f32: a bf16 product (gemm.h), f32 as are its gradients. A matrix of either side
// whose rows or whose columns are dense is read where it lies; other strides are copied first. The gradient of a
// broadcast operand is summed over the batch in order.
Tensor matmul(const Tensor& a, const Tensor& b);

}  // namespace trireme::ops
