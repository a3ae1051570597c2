#include "trireme/core/nn/hooks.h"

#include <exception>

#include "trireme/core/autograd/checkpoint.h"
#include "trireme/core/base/error.h"

namespace trireme::nn {

void ForwardScope::open(Module& module) {
  std::shared_ptr<ModuleHooks> hooks = module.hooks();
  hooks->before_forward(module);
  hooks_ = std::move(hooks);
  module_ = &module;
  exceptions_ = std::uncaught_exceptions();
}

void ForwardScope::close() noexcept { hooks_->after_forward(*module_, std::uncaught_exceptions() == exceptions_); }

void Module::set_hooks(std::shared_ptr<ModuleHooks> hooks) {
  state_->hooks = std::move(hooks);
  state_->watched = state_->hooks != nullptr || state_->checkpointing;
}

void Module::set_activation_checkpointing(bool on) {
  require_usage(!on || !path().empty(),
                "set_activation_checkpointing: a root module given; choose modules below it, whose activations are "
                "computed again one after another (nn::checkpoint_activations does so for all units)");
  state_->checkpointing = on;
  state_->watched = state_->hooks != nullptr || on;
}

Tensor Module::call(const Tensor& input) {
  const std::shared_ptr<ModuleHooks> hooks = state_->hooks;
  const ForwardScope scope(*this);
  const Tensor entered = hooks ? hooks->enter(*this, input) : input;
  const Tensor result = state_->checkpointing ? call_checkpointed(entered) : forward(entered);
  return hooks ? hooks->leave(*this, result) : result;
}

// Backward may come when the handle that was called is gone, so the module is kept as its parent holds it.
Tensor Module::call_checkpointed(const Tensor& input) {
  const std::shared_ptr<Module> self = state_->self.lock();
  require(self != nullptr, "activation checkpointing: the model of which module '{}' is a part is gone", path());
  return checkpointed([self, input, trained = training()] {
    require(self->training() == trained,
            "activation checkpointing: module '{}' was switched between training and evaluation after its forward and "
            "before its backward; switch before forward or after backward",
            self->path());
    return self->forward(input);
  });
}

}  // namespace trireme::nn
