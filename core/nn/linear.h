// Linear: y = x W + b.
#pragma once

#include <cstdint>
#include <optional>

#include "trireme/core/nn/module.h"
#include "trireme/core/ops/linear.h"

namespace trireme::nn {

struct LinearOptions {
  bool bias = true;
  ops::WeightLayout layout = ops::WeightLayout::out_in;  // weight [out, in] (PyTorch) or [in, out] (GPT-2's Conv1D)
  // First values; the default for both is PyTorch's: uniform within +-1 / sqrt(in).
  std::optional<Init> weight_init = {};
  std::optional<Init> bias_init = {};
};

// x [.., in] -> [.., out]. Parameters: weight, bias [out].
class Linear final : public Module {
 public:
  Linear(std::int64_t in, std::int64_t out, const LinearOptions& options = {});
  Tensor forward(const Tensor& x) override { return ops::linear(x, weight_, bias_, layout_); }

 private:
  ops::WeightLayout layout_;
  Tensor weight_;
  Tensor bias_;  // undefined without bias
};

}  // namespace trireme::nn
