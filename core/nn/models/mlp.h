// SimpleNet: the multi-layer perceptron of the first tutorial. Parameters: fc.0.weight [hidden, inputs], fc.0.bias,
// fc.2.weight [classes, hidden], fc.2.bias, as PyTorch names those of the same network.
#pragma once

#include <cstdint>

#include "trireme/core/autograd/memory_trace.h"
#include "trireme/core/nn/activation.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/nn/sequential.h"

namespace trireme::nn {

struct SimpleNetOptions {
  std::int64_t inputs = 784;
  std::int64_t hidden = 128;
  std::int64_t classes = 10;
};

// x [N, inputs] -> logits [N, classes].
class SimpleNet final : public Module {
 public:
  explicit SimpleNet(const SimpleNetOptions& options = {})
      : options_(options),
        fc_(add("fc",
                Sequential(Linear(options.inputs, options.hidden), ReLU(), Linear(options.hidden, options.classes)))) {}
  Tensor forward(const Tensor& x) override { return fc_(x); }

  // What cross_entropy(model(x), labels) and its backward keep in memory for so many items.
  ActivationMemory activation_memory(std::int64_t items) const;

 private:
  SimpleNetOptions options_;
  Child<Sequential> fc_;
};

}  // namespace trireme::nn
