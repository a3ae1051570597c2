// What models say about their activations is what the arena gives out in real passes.
#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "trireme/core/array/allocator.h"
#include "trireme/core/base/step_context.h"
#include "trireme/core/nn/loss.h"
#include "trireme/core/nn/models/gpt.h"
#include "trireme/core/nn/models/mlp.h"
#include "trireme/core/nn/models/recommender.h"
#include "trireme/core/nn/models/resnet.h"
#include "trireme/core/nn/units.h"

namespace trireme::nn {
namespace {

ActivationMemory measure_once(const std::function<Tensor()>& loss_of) {
  const std::int64_t before = memory_stats().bytes_in_use;
  reset_memory_peak();
  const std::int64_t reserved = memory_stats().bytes_reserved;
  ActivationMemory measured;
  {
    const Tensor loss = loss_of();
    measured.kept = memory_stats().bytes_in_use - before;
    measured.forward_peak = memory_stats().bytes_in_use_peak - before;
    reset_memory_peak();
    loss.backward();
  }
  measured.backward_peak = memory_stats().bytes_in_use_peak - before;
  measured.reserved = memory_stats().bytes_reserved - reserved;
  return measured;
}

// The second pass of two: kernels then have their scratch memory. Gradients of parameters have their place, as under a
// strategy.
ActivationMemory measure(Module& model, const std::function<Tensor()>& loss_of) {
  model.initialize(1);
  for (const NamedParameter& parameter : model.parameters()) {
    if (!parameter.sparse) {
      parameter.tensor.leaf_node().set_buffer(Array::zeros(parameter.tensor.shape()));
    }
  }
  const auto clear = [&] {
    for (const NamedParameter& parameter : model.parameters()) {
      parameter.tensor.leaf_node().clear();
    }
  };
  const auto pass = [&] {
    clear();
    return measure_once(loss_of);
  };
  pass();
  clear();  // rows of sparse tables take memory of the pass
  release_cached_memory();
  const ActivationMemory measured = pass();
  const ActivationMemory again = pass();
  EXPECT_LE(again.reserved, measured.reserved / 100) << "the first pass was not like the others";
  for (const NamedParameter& parameter : model.parameters()) {
    parameter.tensor.leaf_node().set_buffer({});
  }
  return measured;
}

void expect_near(const ActivationMemory& planned, const ActivationMemory& measured) {
  const auto near = [](std::int64_t a, std::int64_t b, const char* what, double share = 0.02) {
    EXPECT_NEAR(static_cast<double>(a), static_cast<double>(b), share * static_cast<double>(b)) << what;
  };
  near(planned.kept, measured.kept, "kept between forward and backward");
  near(planned.forward_peak, measured.forward_peak, "peak of forward");
  near(planned.backward_peak, measured.backward_peak, "peak of backward");
  near(planned.reserved, measured.reserved, "taken from the system", 0.04);  // small arrays come in chunks of 1 MiB
}

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kArenaCounts = false;
#else
constexpr bool kArenaCounts = true;
#endif

class ActivationMemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!kArenaCounts) {
      GTEST_SKIP() << "under AddressSanitizer blocks do not come from the arena, which counts them";
    }
  }

  static void check_gpt(const GPTOptions& options, std::int64_t sequences, bool checkpointing) {
    GPT model(options);
    checkpoint_activations(model, checkpointing);
    const Array tokens = Array::zeros({sequences, options.context}, DType::i32);
    const ActivationMemory measured = measure(model, [&] { return model.loss(tokens, tokens); });
    expect_near(model.activation_memory(sequences, options.context), measured);
  }
};

TEST_F(ActivationMemoryTest, OfAGpt) {
  check_gpt({.layers = 3, .heads = 4, .width = 128, .context = 96, .vocab = 257}, 5, false);
}

TEST_F(ActivationMemoryTest, OfAGptWithALargeVocabulary) {
  check_gpt({.layers = 2, .heads = 2, .width = 64, .context = 128, .vocab = 9001}, 3, false);
}

TEST_F(ActivationMemoryTest, OfAGptWithDropout) {
  check_gpt({.layers = 2, .heads = 4, .width = 128, .context = 96, .vocab = 300, .dropout = 0.1}, 5, false);
}

TEST_F(ActivationMemoryTest, OfAGptWhoseBlocksRunAgain) {
  check_gpt({.layers = 6, .heads = 4, .width = 128, .context = 96, .vocab = 257}, 5, true);
}

TEST_F(ActivationMemoryTest, OfSimpleNet) {
  SimpleNet model({.inputs = 784, .hidden = 256, .classes = 10});
  const Array images = Array::full({4096, 784}, 0.5);
  const Array labels = Array::zeros({4096}, DType::u8);
  const ActivationMemory measured = measure(model, [&] { return cross_entropy(model(Tensor(images)), labels); });
  expect_near(model.activation_memory(4096), measured);
}

TEST_F(ActivationMemoryTest, OfAResNet) {
  for (const bool checkpointing : {false, true}) {
    ResNet model({.blocks = 2});
    checkpoint_activations(model, checkpointing);
    const Array images = Array::full({12, 3, 32, 32}, 0.5);
    const Array labels = Array::zeros({12}, DType::u8);
    const ActivationMemory measured = measure(model, [&] { return cross_entropy(model(Tensor(images)), labels); });
    expect_near(model.activation_memory(12, 32, 32), measured);
  }
}

// Each example looks up rows of its own, so that no two of them share a gradient.
TEST_F(ActivationMemoryTest, OfARecommender) {
  Recommender model({.rows = 40'000, .dim = 16, .categories = 9, .dense = 4});
  const Array dense = Array::full({4096, 4}, 0.5);
  const Array labels = Array::full({4096}, 1);
  const Array categories = Array::empty({4096, 9}, DType::i64);
  std::iota(categories.span<std::int64_t>().begin(), categories.span<std::int64_t>().end(), 0);
  const ActivationMemory measured = measure(model, [&] { return model.loss(dense, categories, labels); });
  expect_near(model.activation_memory(4096), measured);
}

}  // namespace
}  // namespace trireme::nn
