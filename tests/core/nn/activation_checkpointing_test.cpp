// Activation checkpointing of models: the same bits, statistics observed once, and memory that really drops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/core/ops/same_bits.h"
#include "trireme/core/array/allocator.h"
#include "trireme/core/nn/activation.h"
#include "trireme/core/nn/loss.h"
#include "trireme/core/nn/models/gpt.h"
#include "trireme/core/nn/models/resnet.h"
#include "trireme/core/nn/sequential.h"
#include "trireme/core/nn/units.h"
#include "trireme/core/ops/reduce.h"

namespace trireme::nn {
namespace {

// Loss, gradients and buffers after three passes, the parameters moved a little between them.
std::vector<Array> trained(Module& model, const std::function<Tensor()>& loss) {
  model.initialize(1);
  std::vector<Array> out;
  for (std::uint64_t pass = 0; pass < 3; ++pass) {
    step_context().step = static_cast<std::int64_t>(pass);
    step_context().pass = pass;
    const Tensor value = loss();
    value.backward();
    out.push_back(value.array());
    for (NamedParameter& parameter : model.parameters()) {
      const Array gradient = parameter.tensor.grad();
      if (!gradient.defined()) {
        continue;
      }
      out.push_back(gradient.clone());
      for (std::int64_t i = 0; i < gradient.count(); ++i) {
        parameter.tensor.array().data<float>()[i] -= 0.1f * gradient.data<float>()[i];
      }
      parameter.tensor.zero_grad();
    }
  }
  for (const NamedBuffer& buffer : model.buffers()) {
    out.push_back(buffer.array);
  }
  step_context() = {};
  return out;
}

void expect_same(const std::vector<Array>& a, const std::vector<Array>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    test::expect_same_bits(a[i], b[i], "array " + std::to_string(i));
  }
}

Array some_tokens(std::int64_t batch, std::int64_t context) {
  Array tokens = Array::empty({batch, context}, DType::u8);
  for (std::int64_t i = 0; i < tokens.count(); ++i) {
    tokens.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(i * 7 % 31);
  }
  return tokens;
}

std::vector<Array> trained_gpt(bool checkpointed, const std::function<void(GPT&)>& prepare) {
  GPT model({.layers = 3, .heads = 2, .width = 16, .context = 8, .vocab = 32, .dropout = 0.3});
  prepare(model);
  checkpoint_activations(model, checkpointed);
  const Array tokens = some_tokens(3, 8);
  return trained(model, [&] { return model.loss(tokens, tokens); });
}

TEST(ActivationCheckpointing, GptWithDropoutHasTheSameBits) {
  const auto nothing = [](GPT&) {};
  expect_same(trained_gpt(false, nothing), trained_gpt(true, nothing));
}

TEST(ActivationCheckpointing, FrozenParametersHaveTheSameBits) {
  const auto freeze = [](const std::vector<std::string>& prefixes) {
    return [prefixes](GPT& model) {
      for (NamedParameter& parameter : model.parameters()) {
        for (const std::string& prefix : prefixes) {
          if (parameter.name.starts_with(prefix)) {
            parameter.tensor.set_requires_grad(false);
          }
        }
      }
    };
  };
  // The tables: the first block's input needs no gradient. One block whole. Two blocks whole and the tables: the first
  // two blocks have no history at all.
  for (const std::vector<std::string>& prefixes : {std::vector<std::string>{"transformer.w"},
                                                   {"transformer.h.1."},
                                                   {"transformer.w", "transformer.h.0.", "transformer.h.1."}}) {
    SCOPED_TRACE(prefixes.back());
    expect_same(trained_gpt(false, freeze(prefixes)), trained_gpt(true, freeze(prefixes)));
  }
}

std::vector<Array> trained_resnet(bool checkpointed, bool training) {
  ResNet model({.channels = 1, .classes = 4, .blocks = 1, .width = 4});
  checkpoint_activations(model, checkpointed);
  model.train(training);
  Array images = Array::empty({4, 1, 8, 8});
  for (std::int64_t i = 0; i < images.count(); ++i) {
    images.data<float>()[i] = static_cast<float>(i * 13 % 29) / 29;
  }
  const Array labels = Array::from(std::vector<std::uint8_t>{0, 1, 2, 3}, {4});
  return trained(model, [&] { return cross_entropy(model(images), labels); });
}

TEST(ActivationCheckpointing, BatchNormObservesOnce) {
  expect_same(trained_resnet(false, true), trained_resnet(true, true));
}

TEST(ActivationCheckpointing, InEvaluationGradientsHaveTheSameBits) {
  expect_same(trained_resnet(false, false), trained_resnet(true, false));
}

// Forward, then everything that backward needs is what is in use.
struct Bytes {
  std::int64_t after_forward = 0;
  std::int64_t peak = 0;
};
Bytes bytes_of_pass(std::int64_t layers, bool checkpointed) {
  GPT model({.layers = layers, .heads = 4, .width = 64, .context = 64, .vocab = 256});
  model.initialize(1);
  checkpoint_activations(model, checkpointed);
  const Array tokens = some_tokens(8, 64);
  model.loss(tokens, tokens).backward();  // makes the gradients' memory
  const std::int64_t before = memory_stats().bytes_in_use;
  reset_memory_peak();
  const Tensor loss = model.loss(tokens, tokens);
  const std::int64_t after = memory_stats().bytes_in_use;
  loss.backward();
  return {after - before, memory_stats().bytes_in_use_peak - before};
}

TEST(ActivationCheckpointing, ABlockKeepsItsInputOnlyAndThePeakHasTheActivationsOfOneBlock) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "under AddressSanitizer blocks do not come from the arena, which counts them";
#endif
  const Bytes plain_two = bytes_of_pass(2, false);
  const Bytes plain_ten = bytes_of_pass(10, false);
  const Bytes two = bytes_of_pass(2, true);
  const Bytes ten = bytes_of_pass(10, true);
  constexpr std::int64_t kInput = 8 * 64 * 64 * 4;  // [B, T, C] of f32
  const std::int64_t block = (plain_ten.after_forward - plain_two.after_forward) / 8;
  EXPECT_GT(block, 8 * kInput) << "what a block keeps without checkpointing";
  const std::int64_t kept = (ten.after_forward - two.after_forward) / 8;
  EXPECT_NEAR(static_cast<double>(kept), kInput, 0.1 * kInput);
  EXPECT_LE(ten.peak, ten.after_forward + block + 12 * kInput) << "one block's, and the gradients in flight";
  EXPECT_LT(ten.peak, plain_ten.peak / 2);
}

TEST(ActivationCheckpointing, WithoutRecordingAModuleIsCalledAsEver) {
  Sequential model(Linear(2, 2), ReLU());
  model.initialize(1);
  for (const auto& [name, child] : model.children()) {
    child->set_activation_checkpointing(true);
  }
  const NoGrad guard;
  EXPECT_FALSE(model(Tensor(Array::zeros({1, 2}))).requires_grad());
}

TEST(ActivationCheckpointing, OfARootIsAnError) {
  Sequential model(Linear(2, 2));
  try {
    model.set_activation_checkpointing(true);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), testing::HasSubstr("checkpoint_activations"));
  }
  model.set_activation_checkpointing(false);
}

TEST(ActivationCheckpointing, TheModelMayBeGoneWhenBackwardRuns) {
  Tensor x = Tensor::leaf(Array::full({1, 2}, 1));
  Tensor y;
  {
    Sequential model(Linear(2, 2));
    model.initialize(1);
    model.children()[0].second->set_activation_checkpointing(true);
    y = ops::sum(model(x));
  }
  y.backward();
  EXPECT_TRUE(x.grad().defined());
}

TEST(ActivationCheckpointing, SwitchingToEvaluationBeforeBackwardIsAnErrorThatNamesTheModule) {
  Sequential model(Linear(2, 2), ReLU());
  model.initialize(1);
  model.children()[0].second->set_activation_checkpointing(true);
  const Tensor y = ops::sum(model(Tensor(Array::full({1, 2}, 1))));
  model.train(false);
  EXPECT_THAT(test::error_of([&] { y.backward(); }), testing::HasSubstr("module '0' was switched"));
}

}  // namespace
}  // namespace trireme::nn
