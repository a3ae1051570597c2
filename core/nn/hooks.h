// What somebody outside a model (a strategy) may do around the calls of a module, without the model knowing.
#pragma once

#include <memory>

#include "trireme/core/nn/module.h"

namespace trireme::nn {

// One call of a module that maps one tensor to one tensor runs
//   before_forward, enter, the module's forward, leave, after_forward,
// and one of any other forward pass (ForwardScope) only before_forward and after_forward. Where activations are
// checkpointed the module's forward alone runs a second time, in backward: without the hooks of the module itself, with
// those of modules below it, and with step_context().second_run set.
//
// Hooks run on the thread that calls the module. If one of the first four raises an Error, the rest are left out except
// after_forward, which ends every call whose before_forward came to its end.
class ModuleHooks {
 public:
  virtual ~ModuleHooks() = default;

  virtual void before_forward(Module& /*module*/) {}
  // What forward sees instead of its input, with the same value: a node attached to it runs in backward after all of
  // the module's own.
  virtual Tensor enter(Module& /*module*/, const Tensor& input) { return input; }
  // What the caller sees instead of the output, with the same value: a node attached to it runs in backward before all
  // of the module's own.
  virtual Tensor leave(Module& /*module*/, const Tensor& output) { return output; }
  // `completed`: the call ends normally; else an exception is on its way through it.
  virtual void after_forward(Module& /*module*/, bool /*completed*/) noexcept {}
};

// Opens a forward pass of a module that is not one tensor to one tensor (GPT::loss): the first line of such a function.
// Costs one branch without hooks.
class ForwardScope {
 public:
  explicit ForwardScope(Module& module) {
    if (module.hooks() != nullptr) [[unlikely]] {
      open(module);
    }
  }
  ~ForwardScope() {
    if (hooks_ != nullptr) [[unlikely]] {
      close();
    }
  }
  ForwardScope(const ForwardScope&) = delete;
  ForwardScope& operator=(const ForwardScope&) = delete;

 private:
  void open(Module& module);
  void close() noexcept;

  std::shared_ptr<ModuleHooks> hooks_;  // stay alive if they are replaced during the call
  Module* module_ = nullptr;
  int exceptions_ = 0;  // in flight when the scope was opened
};

}  // namespace trireme::nn
