// Adagrad (Duchi, Hazan and Singer, 2011): each element has a learning rate of its own, which sinks as its squared
// gradients add up. The optimizer of sparse tables; RowwiseAdagrad keeps one sum a row, 1/dim of the memory.
#pragma once

#include <string>
#include <vector>

#include "trireme/core/optim/optimizer.h"

namespace trireme::optim {

struct AdagradOptions {
  double lr = 1e-2;
  double eps = 1e-10;
  double weight_decay = 0;  // added to the gradient
};

//   g = gradient + weight_decay * value;  sum += g^2;  value -= lr * g / (sqrt(sum) + eps)
class Adagrad final : public Optimizer {
 public:
  // Raises Error (usage) for negative eps or decay.
  explicit Adagrad(const AdagradOptions& options = {});
  std::vector<std::string> state_names() const override { return {"sum"}; }
  const AdagradOptions& options() const { return options_; }

 private:
  void update_slot(Slot& slot, const Gradient& gradient, double gradient_scale) override;

  AdagradOptions options_;
};

// As above with one sum for each row (dim 0): sum += mean of g^2 over the row. Parameters of one dim have a sum for
// each element. The mean is added in one fixed order, whatever instruction set runs.
class RowwiseAdagrad final : public Optimizer {
 public:
  explicit RowwiseAdagrad(const AdagradOptions& options = {});
  std::vector<std::string> state_names() const override { return {"row_sum"}; }
  bool state_per_row() const override { return true; }
  const AdagradOptions& options() const { return options_; }

 private:
  void update_slot(Slot& slot, const Gradient& gradient, double gradient_scale) override;

  AdagradOptions options_;
};

}  // namespace trireme::optim
