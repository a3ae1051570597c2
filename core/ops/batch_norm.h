// Batch normalization (Ioffe and Szegedy, 2015).
#pragma once

#include <string_view>

#include "trireme/core/autograd/step_owner.h"
#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

struct BatchNormOptions {
  bool training = true;  // normalize by the batch's statistics, else by the running ones
  double eps = 1e-5;
  // Synchronized: in training the statistics, and in backward the sums behind x's gradient, are those of the whole
  // global batch, added by owner->sum_over_batch() under this name (which must live until backward has run). The
  // gradients of weight and bias stay this input's. null: the statistics of x alone.
  StepOwner* owner = nullptr;
  std::string_view name = "batch_norm";
};

// What a batch (a global one, if synchronized) looked like, for running statistics; [C], of x's dtype.
struct BatchStatistics {
  Array mean;
  Array variance;  // unbiased: divided by n - 1, as the running variance wants it
};

// y = (x - mean) / sqrt(variance + eps) * weight + bias for each channel. x is [N, C, ...], weight and bias are [C];
// f32 or f64, or bf16 beside an f32 x. In training, mean and (biased) variance are those of x over all dims but C, and
// gradients flow through them; there must be more than one element a channel. In evaluation they are running_mean and
// running_variance [C], constants.
//
// Running statistics are never written here: the caller gets this batch's in `statistics` (training only; may be null),
// because they move once a step, from the mean over all lanes (docs/numerics.md).
Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Array& running_mean,
                  const Array& running_variance, const BatchNormOptions& options = {},
                  BatchStatistics* statistics = nullptr);

}  // namespace trireme::ops
