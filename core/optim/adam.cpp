#include "trireme/core/optim/adam.h"

#include "trireme/core/optim/adam_update.h"

namespace trireme::optim {
namespace {

AdamRule rule_of(const AdamOptions& options, double learning_rate) {
  return {learning_rate, options.beta1, options.beta2, options.eps, options.weight_decay, 0};
}

}  // namespace

Adam::Adam(const AdamOptions& options) : Optimizer(options.lr), options_(options) {
  check_adam_rule("Adam", rule_of(options, options.lr));
}

void Adam::update_slot(Slot& slot, const Gradient& gradient, double gradient_scale) {
  adam_update(adam_step(rule_of(options_, learning_rate()), steps() + 1, gradient_scale), slot, gradient);
}

}  // namespace trireme::optim
