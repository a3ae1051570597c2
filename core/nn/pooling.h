// Pooling as modules, for Sequential.
#pragma once

#include <cstdint>

#include "trireme/core/nn/module.h"
#include "trireme/core/ops/pooling.h"

namespace trireme::nn {

// The largest element of each window of [N, C, H, W]; stride 0: the kernel's size.
class MaxPool2d final : public Module {
 public:
  explicit MaxPool2d(std::int64_t kernel, std::int64_t stride = 0, std::int64_t padding = 0)
      : options_{.kernel = kernel, .stride = stride, .padding = padding} {}
  Tensor forward(const Tensor& x) override { return ops::max_pool2d(x, options_); }

 private:
  ops::Pool2dOptions options_;
};

// The mean of each window.
class AvgPool2d final : public Module {
 public:
  explicit AvgPool2d(std::int64_t kernel, std::int64_t stride = 0, std::int64_t padding = 0)
      : options_{.kernel = kernel, .stride = stride, .padding = padding} {}
  Tensor forward(const Tensor& x) override { return ops::avg_pool2d(x, options_); }

 private:
  ops::Pool2dOptions options_;
};

// The mean of each plane: [N, C, H, W] -> [N, C].
class GlobalAvgPool2d final : public Module {
 public:
  Tensor forward(const Tensor& x) override { return ops::global_avg_pool2d(x); }
};

}  // namespace trireme::nn
