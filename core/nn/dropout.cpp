#include "trireme/core/nn/dropout.h"

#include "trireme/core/autograd/checkpoint.h"
#include "trireme/core/base/random.h"
#include "trireme/core/ops/dropout.h"

namespace trireme::nn {

Dropout::Dropout(double p) : p_(p) {
  require_usage(p >= 0 && p < 1, "nn::Dropout: probability {} given, a number in [0, 1) expected", p);
}

Tensor Dropout::forward(const Tensor& x) {
  if (!training() || p_ == 0) {
    return x;
  }
  const std::uint64_t instance = op_instance([this] {
    if (calls_->pass != step_context().pass) {
      *calls_ = {step_context().pass, 0};
    }
    return RandomStream(calls_->count++, path()).bits(0);
  });
  return ops::dropout(x, p_, instance);
}

}  // namespace trireme::nn
