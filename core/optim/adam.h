// Adam (Kingma and Ba, 2015), with the classic weight decay that is added to the gradient. Not AdamW: see adamw.h.
#pragma once

#include <string>
#include <vector>

#include "trireme/core/optim/optimizer.h"

namespace trireme::optim {

struct AdamOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;  // added to the gradient: gradient + weight_decay * value
};

class Adam final : public Optimizer {
 public:
  // Raises Error (usage) for betas outside [0, 1) or negative eps or decay.
  explicit Adam(const AdamOptions& options = {});
  std::vector<std::string> state_names() const override { return {"exp_avg", "exp_avg_sq"}; }
  const AdamOptions& options() const { return options_; }

 private:
  void update_slot(Slot& slot, const Gradient& gradient, double gradient_scale) override;

  AdamOptions options_;
};

}  // namespace trireme::optim
