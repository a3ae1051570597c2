// Mirrored training in mixed precision: a small GPT follows its f32 loss, bits do not depend on the ranks, and what is
// saved is f32, so that a resumed run goes on exactly.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <vector>

#include "tests/strategies/mirrored/small_run.h"
#include "trireme/core/base/instruction_set.h"
#include "trireme/core/base/random.h"
#include "trireme/core/nn/embedding.h"
#include "trireme/core/nn/models/gpt.h"

namespace trireme::strategies {
namespace {

constexpr std::int64_t kVocab = 32;
constexpr std::int64_t kContext = 16;
constexpr std::int64_t kBatch = 8;

nn::GPT make_gpt() { return nn::GPT({.layers = 2, .heads = 2, .width = 32, .context = kContext, .vocab = kVocab}); }

// Text with something to learn and something to guess: each token is 5 times the one before plus 0, 1 or 2.
Array text_of(std::int64_t step, std::int64_t sample) {
  const RandomStream stream(static_cast<std::uint64_t>(step), "text");
  Array tokens = Array::empty({1, kContext + 1}, DType::i64);
  std::int64_t token = sample * 3 % kVocab;
  for (std::int64_t i = 0; i <= kContext; ++i) {
    const double chance = stream.uniform(static_cast<std::uint64_t>(sample * (kContext + 1) + i));
    token = (5 * token + static_cast<std::int64_t>(3 * chance)) % kVocab;
    tokens.data<std::int64_t>()[i] = token;
  }
  return tokens;
}

Tensor loss_of(nn::GPT& model, const BatchSplit& split, std::int64_t step, std::int64_t leaf) {
  const std::int64_t items = split.items_of(leaf);
  const Array rows = Array::empty({items, kContext + 1}, DType::i64);
  for (std::int64_t i = 0; i < items; ++i) {
    rows.narrow(0, i, 1).copy_from(text_of(step, split.begin_of(leaf) + i));
  }
  return model.loss(rows.narrow(1, 0, kContext).contiguous(), rows.narrow(1, 1, kContext).contiguous());
}

// One rank's training, step by step.
class GptRun {
 public:
  GptRun(comm::World ranks, DType dtype, std::int64_t lanes = 1)
      : world_(ranks), lanes_(lanes), model_(make_gpt()), strategy_(ranks, {.seed = 3, .param_dtype = dtype}) {
    strategy_.prepare(model_, adamw_);
    strategy_.clip_grad_norm(1);
  }

  // Trains steps [begin, end) and returns their losses.
  std::vector<double> train(std::int64_t begin, std::int64_t end) {
    std::vector<double> losses;
    for (std::int64_t step = begin; step < end; ++step) {
      const BatchSplit split{lanes_, 1, kBatch};
      test::run_step(split, step, world_.rank(), world_.size(), [&](std::int64_t leaf) {
        adamw_.zero_grad();
        loss_of(model_, split, step, leaf).backward();
        strategy_.step();
      });
      losses.push_back(strategy_.report().loss);
    }
    return losses;
  }
  std::string hash() { return params_hash(strategy_.full_parameters()); }
  nn::GPT& model() { return model_; }
  Mirrored& strategy() { return strategy_; }
  optim::AdamW& optimizer() { return adamw_; }

 private:
  comm::World world_;
  std::int64_t lanes_;
  nn::GPT model_;
  optim::AdamW adamw_{{.lr = 3e-3}};
  Mirrored strategy_;
};

// One process is a world of one.
void alone(const std::function<void(comm::World)>& body) { comm::run_local(1, body); }

TEST(MixedPrecision, TwoHundredStepsOfASmallGptFollowTheF32LossWithinTwoPercent) {
  std::vector<double> f32;
  std::vector<double> bf16;
  alone([&](comm::World world) { f32 = GptRun(world, DType::f32).train(0, 200); });
  alone([&](comm::World world) { bf16 = GptRun(world, DType::bf16).train(0, 200); });
  EXPECT_LT(f32.back(), 0.6 * f32.front()) << "the model learned nothing";
  bool differs = false;
  for (std::size_t step = 0; step < f32.size(); ++step) {
    ASSERT_NEAR(bf16[step], f32[step], 0.02 * f32[step]) << "step " << step;
    differs |= bf16[step] != f32[step];
  }
  EXPECT_TRUE(differs) << "nothing was rounded";
}

TEST(MixedPrecision, EveryWorldSizeAndBothWaysOfTheProductsGiveTheSameBits) {
  std::set<std::string> hashes;
  std::mutex mutex;
  const auto add = [&](int world) {
    comm::run_local(world, [&](comm::World ranks) {
      GptRun run(ranks, DType::bf16, 4);
      run.train(0, 3);
      const std::string hash = run.hash();
      const std::lock_guard lock(mutex);
      hashes.insert(hash);
    });
  };
  for (const int world : {1, 2, 3, 4}) {
    add(world);
  }
  allow_native_bf16(false);
  add(2);
  allow_native_bf16(true);
  EXPECT_EQ(hashes.size(), 1u);
}

TEST(MixedPrecision, TheModelComputesWithRoundedCopiesOfF32ValuesThatTheStrategyShows) {
  alone([](comm::World world) {
    nn::GPT model = make_gpt();
    std::vector<nn::NamedParameter> leaves = model.parameters();
    {
      optim::AdamW adamw;
      Mirrored strategy(world, {.seed = 3, .param_dtype = DType::bf16});
      strategy.prepare(model, adamw);
      for (const sharding::StateTensor& tensor : strategy.state()) {
        EXPECT_EQ(tensor.rows.dtype(), DType::f32) << tensor.name;
      }
      for (const nn::NamedParameter& shown : strategy.full_parameters()) {
        for (const nn::NamedParameter& leaf : leaves) {
          if (leaf.name == shown.name) {
            EXPECT_EQ(shown.tensor.dtype(), DType::f32);
            EXPECT_EQ(leaf.tensor.dtype(), DType::bf16);
            EXPECT_EQ(leaf.tensor.array().to_vector<float>(), shown.tensor.array().to(DType::bf16).to_vector<float>());
          }
        }
      }
    }
    for (const nn::NamedParameter& leaf : leaves) {
      EXPECT_EQ(leaf.tensor.dtype(), DType::f32) << "after the strategy is gone";
    }
  });
}

TEST(MixedPrecision, ARunThatGoesOnFromSavedF32StateIsTheUninterruptedOne) {
  alone([](comm::World world) {
    std::string whole;
    std::vector<Array> saved;
    {
      GptRun run(world, DType::bf16);
      run.train(0, 5);
      for (const sharding::StateTensor& tensor : run.strategy().state()) {
        saved.push_back(tensor.rows.clone());
      }
      run.train(5, 10);
      whole = run.hash();
    }
    GptRun resumed(world, DType::bf16);
    const std::vector<sharding::StateTensor> state = resumed.strategy().state();
    ASSERT_EQ(state.size(), saved.size());
    for (std::size_t i = 0; i < state.size(); ++i) {
      state[i].rows.copy_from(saved[i]);
    }
    resumed.optimizer().set_steps(5);
    resumed.strategy().state_written();
    resumed.train(5, 10);
    EXPECT_EQ(resumed.hash(), whole);
  });
}

TEST(MixedPrecision, ATableWithLazyRowUpdatesStaysF32) {
  alone([](comm::World world) {
    nn::Sequential model(nn::Linear(4, 2));
    nn::Embedding table(6, 4, {.sparse = true});
    class Both : public nn::Module {
     public:
      Both(nn::Sequential head, nn::Embedding rows) {
        add("head", std::move(head));
        add("rows", std::move(rows));
      }
    } both(model, table);
    optim::AdamW adamw;
    Mirrored strategy(world, {.param_dtype = DType::bf16});
    strategy.prepare(both, adamw);
    EXPECT_EQ(table.weight().dtype(), DType::f32);
    EXPECT_EQ(model.parameters().front().tensor.dtype(), DType::bf16);
  });
}

TEST(MixedPrecision, AnotherDtypeThanF32OrBf16IsAUsageError) {
  alone([](comm::World world) { EXPECT_THROW(Mirrored(world, {.param_dtype = DType::f16}), Error); });
}

}  // namespace
}  // namespace trireme::strategies
