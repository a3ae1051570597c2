// A training step of the models takes no memory from the system once the first ones have filled the arena: forward,
// backward, gradient norm and update, counted at operator new.
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "tests/support/count_allocations.h"
#include "trireme/core/nn/loss.h"
#include "trireme/core/nn/models/gpt.h"
#include "trireme/core/nn/models/mlp.h"
#include "trireme/core/nn/models/resnet.h"
#include "trireme/core/nn/units.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/core/optim/clip.h"
#include "trireme/core/optim/rows.h"

namespace trireme::nn {
namespace {

// Trains by hand, as a strategy would, and returns the allocations of steps 4 to 8.
long allocations_of_later_steps(Module& model, const std::function<Tensor()>& loss) {
  model.initialize(1);
  std::vector<NamedParameter> parameters = model.parameters();
  std::vector<optim::Slot> slots;
  for (const NamedParameter& parameter : parameters) {
    slots.push_back({parameter.name, parameter.tensor.shape(), 0, false, parameter.tensor.array().flatten(), {}});
  }
  optim::AdamW adamw;
  adamw.attach(std::move(slots));
  std::vector<optim::Gradient> gradients(parameters.size());
  const auto step = [&] {
    loss().backward();
    ExactSum squares;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const Array gradient = parameters[i].tensor.grad().flatten();
      gradients[i] = gradient;
      optim::add_squares(squares, gradient, optim::row_length(parameters[i].tensor.shape()));
      parameters[i].tensor.zero_grad();
    }
    adamw.update(gradients, optim::clip_factor(optim::norm_of(squares), 1.0));
  };
  for (int i = 0; i < 4; ++i) {
    step();
  }
  return test::allocations_of([&] {
    for (int i = 4; i < 8; ++i) {
      step();
    }
  });
}

TEST(SteadyState, AStepOfSimpleNetAllocatesNothing) {
  SimpleNet model({.inputs = 20, .hidden = 16});
  const Array inputs = Array::full({8, 20}, 0.5), labels = Array::zeros({8}, DType::u8);
  EXPECT_EQ(allocations_of_later_steps(model, [&] { return cross_entropy(model(inputs), labels); }), 0);
}

TEST(SteadyState, AStepOfGptAllocatesNothing) {
  GPT model({.layers = 2, .heads = 2, .width = 16, .context = 8, .vocab = 32, .dropout = 0.1});
  const Array tokens = Array::full({3, 8}, 5, DType::u8);
  EXPECT_EQ(allocations_of_later_steps(model, [&] { return model.loss(tokens, tokens); }), 0);
}

TEST(SteadyState, AStepOfGptWithActivationCheckpointingAllocatesNothing) {
  GPT model({.layers = 2, .heads = 2, .width = 16, .context = 8, .vocab = 32, .dropout = 0.1});
  checkpoint_activations(model);
  const Array tokens = Array::full({3, 8}, 5, DType::u8);
  EXPECT_EQ(allocations_of_later_steps(model, [&] { return model.loss(tokens, tokens); }), 0);
}

TEST(SteadyState, AStepInMixedPrecisionAllocatesNothing) {
  GPT model({.layers = 2, .heads = 2, .width = 16, .context = 8, .vocab = 32});
  model.initialize(1);
  std::vector<NamedParameter> parameters = model.parameters();
  for (NamedParameter& parameter : parameters) {
    parameter.tensor.set_compute_value(parameter.tensor.array().to(DType::bf16));
  }
  const Array tokens = Array::full({3, 8}, 5, DType::u8);
  const auto pass = [&] {
    model.loss(tokens, tokens).backward();
    for (NamedParameter& parameter : parameters) {
      parameter.tensor.zero_grad();
    }
  };
  for (int i = 0; i < 4; ++i) {
    pass();
  }
  EXPECT_EQ(test::allocations_of(pass), 0);
}

TEST(SteadyState, AStepOfResNetAllocatesNothing) {
  ResNet model({.channels = 1, .classes = 4, .blocks = 1, .width = 4});
  const Array images = Array::full({2, 1, 8, 8}, 0.5), labels = Array::zeros({2}, DType::u8);
  EXPECT_EQ(allocations_of_later_steps(model, [&] { return cross_entropy(model(images), labels); }), 0);
}

}  // namespace
}  // namespace trireme::nn
