// Batch normalization (Ioffe and Szegedy, 2015) with running statistics that are the same for every world size.
#pragma once

#include <cstdint>

#include "trireme/core/nn/module.h"

namespace trireme::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  double momentum = 0.1;      // running = (1 - momentum) * running + momentum * batch's
  bool synchronized = false;  // statistics of the global batch (PyTorch's SyncBatchNorm): one lane a rank only
};

// In training each forward pass normalizes by the statistics of its own input (one lane's micro-batch) and leaves them
// in the buffers' observations, from which the strategy moves the running ones once a step (of several passes in one
// leaf the last counts). Without a strategy (no owner in step_context()) they move at once, as PyTorch's do. Evaluation
// normalizes by the running statistics.
//
// Synchronized, the statistics are those of the global batch, exchanged between the ranks in forward and backward.
// Every rank must then run exactly one lane, without accumulation; anything else is a usage Error (docs/numerics.md).
//
// Parameters: weight [C] (ones), bias [C] (zeros). Buffers: running_mean [C] (zeros), running_var [C] (ones, unbiased).
class BatchNorm : public Module {
 public:
  Tensor forward(const Tensor& x) override;

 protected:
  // Inputs have min_dims to max_dims dims, the second of size `channels`.
  BatchNorm(const char* name, std::int64_t channels, const BatchNormOptions& options, int min_dims, int max_dims);

 private:
  const char* name_;
  BatchNormOptions options_;
  int min_dims_;
  int max_dims_;
  Tensor weight_;
  Tensor bias_;
  NamedBuffer mean_;
  NamedBuffer variance_;
};

// [N, C] or [N, C, L]
class BatchNorm1d final : public BatchNorm {
 public:
  explicit BatchNorm1d(std::int64_t channels, const BatchNormOptions& options = {})
      : BatchNorm("BatchNorm1d", channels, options, 2, 3) {}
};

// [N, C, H, W]
class BatchNorm2d final : public BatchNorm {
 public:
  explicit BatchNorm2d(std::int64_t channels, const BatchNormOptions& options = {})
      : BatchNorm("BatchNorm2d", channels, options, 4, 4) {}
};

}  // namespace trireme::nn
