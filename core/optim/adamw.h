// AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, 2019): value *= 1 - lr * weight_decay.
#pragma once

#include <string>
#include <vector>

#include "trireme/core/optim/optimizer.h"

namespace trireme::optim {

struct AdamWOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
  int decay_min_dims = 0;  // only parameters of at least so many dims decay: 2 spares biases and norms (GPT)
};

class AdamW final : public Optimizer {
 public:
  // Raises Error (usage) for betas outside [0, 1) or negative eps or decay.
  explicit AdamW(const AdamWOptions& options = {});
  std::vector<std::string> state_names() const override { return {"exp_avg", "exp_avg_sq"}; }
  const AdamWOptions& options() const { return options_; }

 private:
  void update_slot(Slot& slot, const Gradient& gradient, double gradient_scale) override;

  AdamWOptions options_;
};

}  // namespace trireme::optim
