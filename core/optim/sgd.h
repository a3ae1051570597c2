// Stochastic gradient descent, with momentum (Polyak, or Nesterov's) and weight decay, as PyTorch defines them:
//   g = gradient + weight_decay * value;  b = momentum * b + g;  value -= lr * (nesterov ? g + momentum * b : b)
#pragma once

#include <string>
#include <vector>

#include "trireme/core/optim/optimizer.h"

namespace trireme::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
};

class SGD final : public Optimizer {
 public:
  // Raises Error (usage) for momentum outside [0, 1), negative decay, or nesterov without momentum.
  explicit SGD(const SGDOptions& options = {});
  // {"momentum_buffer"}, nothing without momentum.
  std::vector<std::string> state_names() const override;
  const SGDOptions& options() const { return options_; }

 private:
  void update_slot(Slot& slot, const Gradient& gradient, double gradient_scale) override;

  SGDOptions options_;
};

}  // namespace trireme::optim
