#include "trireme/core/optim/adamw.h"

#include "trireme/core/optim/adam_update.h"

namespace trireme::optim {
namespace {

AdamRule rule_of(const AdamWOptions& options, double learning_rate, double decay) {
  return {learning_rate, options.beta1, options.beta2, options.eps, 0, decay};
}

}  // namespace

AdamW::AdamW(const AdamWOptions& options) : Optimizer(options.lr), options_(options) {
  check_adam_rule("AdamW", rule_of(options, options.lr, options.weight_decay));
}

void AdamW::update_slot(Slot& slot, const Gradient& gradient, double gradient_scale) {
  const double decay = slot.shape.dims() >= options_.decay_min_dims ? options_.weight_decay : 0;
  adam_update(adam_step(rule_of(options_, learning_rate(), decay), steps() + 1, gradient_scale), slot, gradient);
}

}  // namespace trireme::optim
