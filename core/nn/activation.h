// Activations and reshaping as modules, for Sequential.
#pragma once

#include "trireme/core/nn/module.h"
#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/gelu.h"
#include "trireme/core/ops/relu.h"
#include "trireme/core/ops/view.h"

namespace trireme::nn {

class ReLU final : public Module {
 public:
  Tensor forward(const Tensor& x) override { return ops::relu(x); }
};

// The tanh form, as GPT-2.
class GELU final : public Module {
 public:
  Tensor forward(const Tensor& x) override { return ops::gelu(x); }
};

class Tanh final : public Module {
 public:
  Tensor forward(const Tensor& x) override { return ops::tanh(x); }
};

class Sigmoid final : public Module {
 public:
  Tensor forward(const Tensor& x) override { return ops::sigmoid(x); }
};

// [N, ...] -> [N, product of the rest].
class Flatten final : public Module {
 public:
  Tensor forward(const Tensor& x) override { return ops::flatten(x, 1); }
};

}  // namespace trireme::nn
