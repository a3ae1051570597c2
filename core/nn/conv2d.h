// Conv2d: two-dimensional convolution of images in NCHW.
#pragma once

#include <cstdint>
#include <optional>

#include "trireme/core/nn/module.h"
#include "trireme/core/ops/conv2d.h"

namespace trireme::nn {

struct Conv2dOptions {
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  std::int64_t dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  std::optional<Init> weight_init = {};  // default: PyTorch's, uniform within +-1 / sqrt(fan in); the bias likewise
};

// x [N, in, H, W] -> [N, out, H', W'] (sizes: core/ops/conv2d.h). Parameters: weight [out, in / groups, kernel,
// kernel], bias [out].
class Conv2d final : public Module {
 public:
  Conv2d(std::int64_t in, std::int64_t out, std::int64_t kernel, const Conv2dOptions& options = {});
  Tensor forward(const Tensor& x) override { return ops::conv2d(x, weight_, bias_, options_); }

 private:
  ops::Conv2dOptions options_;
  Tensor weight_;
  Tensor bias_;  // undefined without bias
};

}  // namespace trireme::nn
