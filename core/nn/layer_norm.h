// LayerNorm over the last dim.
#pragma once

#include <cstdint>

#include "trireme/core/nn/module.h"
#include "trireme/core/ops/layer_norm.h"

namespace trireme::nn {

// [.., width] -> the same shape. Parameters: weight [width] (ones), bias [width] (zeros).
class LayerNorm final : public Module {
 public:
  explicit LayerNorm(std::int64_t width, double eps = 1e-5) : eps_(eps) {
    require_usage(width > 0, "nn::LayerNorm: width {} given, a positive number expected", width);
    weight_ = add_parameter("weight", {width}, Init::constant(1));
    bias_ = add_parameter("bias", {width}, Init::constant(0));
  }
  Tensor forward(const Tensor& x) override { return ops::layer_norm(x, weight_, bias_, eps_); }

 private:
  double eps_;
  Tensor weight_;
  Tensor bias_;
};

}  // namespace trireme::nn
