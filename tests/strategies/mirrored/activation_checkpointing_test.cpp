// Mirrored training with activation checkpointing: the bits of training without, with everything that the strategy
// takes from the tape (buckets, hooks, observations, sums over the batch) still where it was.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <set>

#include "tests/support/lane_loop.h"
#include "tests/support/op_check.h"
#include "trireme/comm/environment.h"
#include "trireme/comm/flight_recorder.h"
#include "trireme/core/nn/models/gpt.h"
#include "trireme/core/nn/models/resnet.h"
#include "trireme/core/nn/units.h"
#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/core/ops/reduce.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/core/optim/sgd.h"
#include "trireme/strategies/mirrored/mirrored.h"

namespace trireme::strategies {
namespace {

Array tokens_of(std::int64_t step, std::int64_t begin, std::int64_t items) {
  Array tokens = Array::empty({items, 6}, DType::u8);
  for (std::int64_t i = 0; i < tokens.count(); ++i) {
    tokens.data<std::uint8_t>()[i] = static_cast<std::uint8_t>((step * 11 + begin * 6 + i) * 7 % 23);
  }
  return tokens;
}

nn::GPT small_gpt() {
  return nn::GPT({.layers = 3, .heads = 2, .width = 8, .context = 6, .vocab = 23, .dropout = 0.2});
}

// What the ranks agree on after the last step: parameters and running statistics.
struct Setup {
  int world = 1;
  bool checkpointed = false;
  std::size_t bucket_bytes = 256;  // several a block
};
template <class Model>
std::string hash_after(const Setup& setup, const std::function<Model()>& make,
                       const std::function<void(Model&, Mirrored&, comm::World&)>& steps) {
  std::set<std::string> hashes;
  std::mutex mutex;
  comm::run_local(setup.world, [&](comm::World world) {
    Model model = make();
    EXPECT_GT(nn::checkpoint_activations(model, setup.checkpointed), 0);
    optim::AdamW adamw({.lr = 1e-2});
    Mirrored strategy(world, {.seed = 3, .first_bucket_bytes = 64, .bucket_bytes = setup.bucket_bytes});
    strategy.prepare(model, adamw);
    strategy.clip_grad_norm(0.5);
    steps(model, strategy, world);
    std::vector<nn::NamedParameter> all = strategy.full_parameters();
    for (const nn::NamedBuffer& buffer : model.buffers()) {
      all.push_back({buffer.name, Tensor(buffer.array), {}});
    }
    const std::lock_guard lock(mutex);
    hashes.insert(params_hash(all));
  });
  EXPECT_EQ(hashes.size(), 1u) << "ranks ended differently";
  return *hashes.begin();
}

template <class Model>
std::function<void(Model&, Mirrored&, comm::World&)> over_batches(
    std::int64_t lanes, std::int64_t accumulate, const std::vector<std::int64_t>& batches,
    const std::function<Tensor(Model&, std::int64_t step, std::int64_t begin, std::int64_t items)>& loss) {
  return [=](Model& model, Mirrored& strategy, comm::World& world) {
    std::uint64_t pass = 0;
    for (std::size_t s = 0; s < batches.size(); ++s) {
      const auto step = static_cast<std::int64_t>(s);
      const BatchSplit split{lanes, accumulate, batches[s]};
      test::run_step(split, step, world.rank(), world.size(), [&](std::int64_t leaf) {
        step_context().pass = ++pass;
        loss(model, step, split.begin_of(leaf), split.items_of(leaf)).backward();
        strategy.step();
      });
    }
  };
}

Tensor gpt_loss(nn::GPT& model, std::int64_t step, std::int64_t begin, std::int64_t items) {
  return model.loss(tokens_of(step, begin, items), tokens_of(step + 1, begin, items));
}

TEST(ActivationCheckpointing, SeveralLanesAccumulationAndAShortBatchHaveTheSameBitsOnAnyRanks) {
  const auto steps = over_batches<nn::GPT>(5, 2, {20, 20, 7, 20, 1}, gpt_loss);
  const std::string expected = hash_after<nn::GPT>({1, false}, small_gpt, steps);
  for (const int world : {1, 2, 3}) {
    EXPECT_EQ(hash_after<nn::GPT>({world, true}, small_gpt, steps), expected) << world << " ranks";
  }
}

Tensor resnet_loss(nn::ResNet& model, std::int64_t step, std::int64_t begin, std::int64_t items) {
  Array labels = Array::empty({items}, DType::u8);
  for (std::int64_t i = 0; i < items; ++i) {
    labels.data<std::uint8_t>()[i] = static_cast<std::uint8_t>((begin + i) % 3);
  }
  const auto seed = static_cast<std::uint64_t>(step * 100 + begin);
  return ops::cross_entropy(model(test::random_array({items, 1, 8, 8}, seed).to(DType::f32)), labels);
}

nn::ResNet small_resnet(bool synchronized) {
  return nn::ResNet({.channels = 1, .classes = 3, .blocks = 1, .width = 2, .synchronized_batch_norm = synchronized});
}

TEST(ActivationCheckpointing, RunningStatisticsMoveOnceAStep) {
  const auto make = [] { return small_resnet(false); };
  const auto steps = over_batches<nn::ResNet>(4, 1, {12, 12, 12}, resnet_loss);
  const std::string expected = hash_after<nn::ResNet>({1, false}, make, steps);
  for (const int world : {1, 2, 4}) {
    EXPECT_EQ(hash_after<nn::ResNet>({world, true}, make, steps), expected) << world << " ranks";
  }
}

TEST(ActivationCheckpointing, SumsOverTheBatchAreExchangedAgainInOneOrder) {
  const auto make = [] { return small_resnet(true); };
  for (const int world : {1, 2, 3}) {
    const auto steps = over_batches<nn::ResNet>(world, 1, {12, 7, 2}, resnet_loss);
    EXPECT_EQ(hash_after<nn::ResNet>({world, true}, make, steps), hash_after<nn::ResNet>({world, false}, make, steps))
        << world << " ranks";
  }
}

TEST(ActivationCheckpointing, PassesUnderNoSyncAccumulateTheSameBits) {
  const auto steps = [](nn::GPT& model, Mirrored& strategy, comm::World& world) {
    for (std::int64_t step = 0; step < 3; ++step) {
      step_context().step = step;
      step_context().leaf = world.rank();
      {
        const auto guard = strategy.no_sync();
        step_context().pass++;
        gpt_loss(model, step, 2 * world.rank(), 2).backward();
      }
      step_context().pass++;
      gpt_loss(model, step, 10 + 2 * world.rank(), 2).backward();
      strategy.step();
    }
  };
  EXPECT_EQ(hash_after<nn::GPT>({2, true}, small_gpt, steps), hash_after<nn::GPT>({2, false}, small_gpt, steps));
}

// One layer that two units share, and a parameter that one of them uses for nothing.
class SharingBlock final : public nn::Module {
 public:
  explicit SharingBlock(const Tensor& shared) : shared_(shared) {
    mark_as_unit();
    tie_parameter("shared", shared);
    own_ = add_parameter("own", {4, 4}, nn::Init::normal(0, 0.5));
    idle_ = add_parameter("idle", {4}, nn::Init::constant(1));
  }
  Tensor forward(const Tensor& x) override {
    const Tensor unseen = idle_ * 2;
    return ops::tanh(ops::mul(ops::mul(x, own_), shared_)) + x;
  }

 private:
  Tensor shared_, own_, idle_;
};
class SharingModel final : public nn::Module {
 public:
  SharingModel() {
    shared_ = add_parameter("shared", {4, 4}, nn::Init::normal(0, 0.5));
    for (int i = 0; i < 3; ++i) {
      blocks_.push_back(add("block" + std::to_string(i), SharingBlock(shared_)));
    }
  }
  Tensor forward(const Tensor& x) override {
    Tensor out = ops::mul(x, shared_);
    for (const auto& block : blocks_) {
      out = probe == nullptr ? block(out) : watched(block(out));
    }
    return out;
  }
  std::function<void()> probe;

 private:
  Tensor watched(const Tensor& x) {
    return record("probe", x.array(), {&x}, [this](const Array& gradient, Gradients& gradients) {
      probe();
      gradients.add(0, gradient);
    });
  }
  Tensor shared_;
  std::vector<nn::Child<SharingBlock>> blocks_;
};

Tensor sharing_loss(SharingModel& model, std::int64_t step, std::int64_t begin, std::int64_t /*items*/) {
  return ops::mean(model(test::random_array({4, 4}, static_cast<std::uint64_t>(10 * step + begin)).to(DType::f32)));
}

TEST(ActivationCheckpointing, ALeafOfSeveralUnitsIsReducedOnceAndAnUnusedOneIsLeftAlone) {
  const auto make = [] { return SharingModel(); };
  const auto steps = over_batches<SharingModel>(4, 1, {4, 4, 4}, sharing_loss);
  const std::string expected = hash_after<SharingModel>({1, false}, make, steps);
  for (const int world : {1, 2, 3}) {
    EXPECT_EQ(hash_after<SharingModel>({world, true, 16}, make, steps), expected) << world << " ranks";
  }
}

TEST(ActivationCheckpointing, BucketsOfLaterBlocksAreUnderWayWhileEarlierOnesRunAgain) {
  comm::run_local(2, [&](comm::World world) {
    SharingModel model;
    nn::checkpoint_activations(model);
    optim::SGD sgd({.lr = 0.1});
    Mirrored strategy(world, {.seed = 3, .first_bucket_bytes = 4, .bucket_bytes = 4});
    strategy.prepare(model, sgd);
    std::vector<std::ptrdiff_t> started;
    model.probe = [&] {
      const std::vector<comm::OpRecord> records = world->recorder().records();
      started.push_back(std::ranges::count_if(
          records, [](const comm::OpRecord& record) { return record.name.view().starts_with("bucket"); }));
    };
    for (std::int64_t step = 0; step < 2; ++step) {  // after the first, buckets are in the order of backward
      started.clear();
      const std::ptrdiff_t before = static_cast<std::ptrdiff_t>(step) * 7;
      test::run_step({2, 1, 2}, step, world.rank(), 2, [&](std::int64_t leaf) {
        sharing_loss(model, step, leaf, 1).backward();
        strategy.step();
      });
      if (step == 1) {
        EXPECT_EQ(started, (std::vector<std::ptrdiff_t>{before, before + 1, before + 2}));
      }
    }
  });
}

}  // namespace
}  // namespace trireme::strategies
