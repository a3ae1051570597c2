// Sequential: modules one after the other, named by their numbers: nn::Sequential(nn::Linear(784, 128), nn::ReLU(),
// ...).
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "trireme/core/nn/module.h"

namespace trireme::nn {

class Sequential final : public Module {
 public:
  // Parameters are "0.weight", "0.bias", "2.weight", ...: a module without parameters counts too.
  template <std::derived_from<Module>... M>
  explicit Sequential(M... modules) {
    (push_back(std::move(modules)), ...);
  }

  template <std::derived_from<Module> M>
  void push_back(M module) {
    steps_.push_back(std::make_shared<M>(std::move(module)));
    add_child(std::to_string(steps_.size() - 1), steps_.back());
  }
  std::size_t size() const { return steps_.size(); }

  Tensor forward(const Tensor& x) override {
    Tensor out = x;
    for (const auto& step : steps_) {
      out = (*step)(out);
    }
    return out;
  }

 private:
  std::vector<std::shared_ptr<Module>> steps_;
};

}  // namespace trireme::nn
