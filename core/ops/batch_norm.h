// Batch normalization (Ioffe and Szegedy, 2015).
#pragma once

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

struct BatchNormOptions {
  bool training = true;  // normalize by the batch's statistics, else by the running ones
  double eps = 1e-5;
};

// What a batch looked like, for running statistics; [C], of x's dtype.
struct BatchStatistics {
  Array mean;
  Array variance;  // unbiased: divided by n - 1, as the running variance wants it
};

// y = (x - mean) / sqrt(variance + eps) * weight + bias for each channel. x is [N, C, ...], weight and bias are [C];
// f32 or f64. In training, mean and (biased) variance are those of x over all dims but C, and gradients flow through
// them; x must have more than one element a channel. In evaluation they are running_mean and running_variance [C],
// constants.
//
// Running statistics are never written here: the caller gets this batch's in `statistics` (training only; may be null),
// because they move once a step, from the mean over all lanes (docs/numerics.md).
Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Array& running_mean,
                  const Array& running_variance, const BatchNormOptions& options = {},
                  BatchStatistics* statistics = nullptr);

}  // namespace trireme::ops
