// Dropout: in training, zeroes elements with probability p and scales the others by 1 / (1 - p).
#pragma once

#include <cstdint>
#include <memory>

#include "trireme/core/nn/module.h"

namespace trireme::nn {

// The mask is a function of seed, step, leaf, the module's path in its model and the number of the call within the
// leaf: never of rank or time. In evaluation, and with p = 0, the input itself.
class Dropout final : public Module {
 public:
  // Raises Error (usage) unless 0 <= p < 1.
  explicit Dropout(double p);
  Tensor forward(const Tensor& x) override;

 private:
  struct Calls {
    std::uint64_t pass = ~std::uint64_t{0};  // of step_context(): in which leaf `count` calls were made
    std::uint64_t count = 0;
  };

  double p_;
  std::shared_ptr<Calls> calls_ = std::make_shared<Calls>();  // copies are the same module
};

}  // namespace trireme::nn
