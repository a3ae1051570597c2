// Mirrored training: the same bits for every world size, against an oracle that adds the lanes by hand.
#include "trireme/strategies/mirrored/mirrored.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "tests/strategies/mirrored/small_run.h"
#include "tests/support/op_check.h"
#include "trireme/comm/environment.h"
#include "trireme/comm/flight_recorder.h"
#include "trireme/core/array/accumulate.h"
#include "trireme/core/nn/activation.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/nn/sequential.h"
#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/core/ops/reduce.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/core/optim/sgd.h"

namespace trireme::strategies {
namespace {

class MirroredWorlds : public testing::TestWithParam<int> {};

TEST_P(MirroredWorlds, HaveTheBitsOfOneRank) {
  const Outcome alone = train(1, 12, 1, {24, 24, 24});
  const Outcome many = train(GetParam(), 12, 1, {24, 24, 24});
  EXPECT_EQ(many.hash, alone.hash);
  EXPECT_EQ(many.losses, alone.losses);
  EXPECT_EQ(many.norms, alone.norms);
}

TEST_P(MirroredWorlds, HaveTheBitsOfOneRankWithClippingAccumulationAndAShortLastBatch) {
  const Outcome alone = train(1, 7, 3, {42, 42, 5, 42, 1}, 0.1);
  const Outcome many = train(GetParam(), 7, 3, {42, 42, 5, 42, 1}, 0.1);
  EXPECT_EQ(many.hash, alone.hash);
  EXPECT_EQ(many.losses, alone.losses);
  EXPECT_EQ(many.norms, alone.norms);
}

TEST_P(MirroredWorlds, RunOnlyTheirOwnLanes) {
  const Subtree expected = lanes_of_rank(12, GetParam(), 0);
  std::set<std::int64_t> leaves;
  for (std::int64_t leaf = expected.begin; leaf < expected.end; ++leaf) {
    leaves.insert(leaf);
  }
  EXPECT_EQ(train(GetParam(), 12, 1, {24}).leaves, leaves);
}

INSTANTIATE_TEST_SUITE_P(Ranks, MirroredWorlds, testing::Values(1, 2, 3, 4, 7));

// The oracle: each lane's gradient alone, scaled by its share, added in the order of the lane tree's definition.
Array tree_sum(const std::map<std::int64_t, Array>& lanes, Subtree node) {
  if (node.size() == 1) {
    return lanes.contains(node.begin) ? lanes.at(node.begin).clone() : Array();
  }
  const std::int64_t middle = split_point(node);
  Array left = tree_sum(lanes, {node.begin, middle});
  const Array right = tree_sum(lanes, {middle, node.end});
  if (!left.defined() || !right.defined()) {
    return left.defined() ? left : right;
  }
  accumulate(left, right);
  return left;
}

struct ShareOwner final : StepOwner {
  double share = 1;
  double begin_backward(const Array&, double, bool) override { return share; }
  void run_idle_step() override {}
};

TEST(Mirrored, GradientIsTheTreeSumOfTheLanesGradients) {
  const BatchSplit split{6, 1, 15};  // lanes of 3, 3, 3, 2, 2, 2 items
  auto reference = make_model();
  reference.initialize(3);
  std::map<std::string, std::map<std::int64_t, Array>> lanes;
  ShareOwner owner;
  step_context().owner = &owner;
  for (std::int64_t leaf = 0; leaf < 6; ++leaf) {
    owner.share = static_cast<double>(split.items_of(leaf)) / 15;
    loss_of(reference, split, 0, leaf).backward();
    for (auto& parameter : reference.parameters()) {
      lanes[parameter.name][leaf] = parameter.tensor.grad().clone();
      parameter.tensor.zero_grad();
    }
  }
  step_context().owner = nullptr;

  comm::run_local(4, [&](comm::World ranks) {
    auto model = make_model();
    optim::SGD sgd({.lr = 0});
    Mirrored strategy(ranks, {.seed = 3});
    strategy.prepare(model, sgd);
    test::run_step(split, 0, ranks.rank(), ranks.size(), [&](std::int64_t leaf) {
      loss_of(model, split, 0, leaf).backward();
      strategy.step();
    });
    for (const auto& parameter : model.parameters()) {
      EXPECT_EQ(parameter.tensor.grad().to_vector<float>(),
                tree_sum(lanes.at(parameter.name), {0, 6}).to_vector<float>())
          << parameter.name;
    }
  });
}

TEST(Mirrored, SmallBucketsAndTheirRebuiltOrderChangeNoBits) {
  std::vector<std::string> hashes;
  for (const std::size_t bytes : {std::size_t{64}, std::size_t{25} << 20}) {
    comm::run_local(2, [&](comm::World ranks) {
      auto model = make_model();
      optim::AdamW adamw({.lr = 1e-2});
      Mirrored strategy(ranks, {.seed = 3, .first_bucket_bytes = bytes, .bucket_bytes = bytes});
      strategy.prepare(model, adamw);
      const BatchSplit split{4, 1, 8};
      for (std::int64_t step = 0; step < 3; ++step) {
        test::run_step(split, step, ranks.rank(), 2, [&](std::int64_t leaf) {
          loss_of(model, split, step, leaf).backward();
          strategy.step();
        });
      }
      if (ranks.rank() == 0) {
        hashes.push_back(params_hash(strategy.full_parameters()));
      }
    });
  }
  EXPECT_EQ(hashes[0], hashes[1]);
}

// Two layers with an op between them whose backward looks at what has been started by then.
class ProbedModel final : public nn::Module {
 public:
  ProbedModel() {
    lower_ = add("lower", nn::Linear(kFeatures, 4));
    upper_ = add("upper", nn::Linear(4, kClasses));
  }
  Tensor forward(const Tensor& x) override {
    const Tensor hidden = lower_(x);
    return upper_(record("probe", hidden.array(), {&hidden}, [this](const Array& gradient, Gradients& gradients) {
      probe();
      gradients.add(0, gradient);
    }));
  }
  std::function<void()> probe;

 private:
  nn::Child<nn::Linear> lower_, upper_;
};

TEST(Mirrored, BucketsOfTheLastLayersAreUnderWayWhileBackwardRunsInTheFirst) {
  comm::run_local(2, [&](comm::World ranks) {
    ProbedModel model;
    optim::SGD sgd({.lr = 0.1});
    Mirrored strategy(ranks, {.seed = 3, .first_bucket_bytes = 4, .bucket_bytes = 4});
    strategy.prepare(model, sgd);
    const BatchSplit split{4, 1, 8};  // two lanes a rank
    std::vector<std::size_t> started;
    const auto count_buckets = [&] {
      const std::vector<comm::OpRecord> records = ranks->recorder().records();
      return static_cast<std::size_t>(std::ranges::count_if(
          records, [](const comm::OpRecord& record) { return record.name.view().starts_with("bucket"); }));
    };
    model.probe = [&] { started.push_back(count_buckets()); };
    test::run_step(split, 0, ranks.rank(), 2, [&](std::int64_t leaf) {
      loss_of(model, split, 0, leaf).backward();
      strategy.step();
    });
    EXPECT_EQ(started, (std::vector<std::size_t>{0, 2})) << "weight and bias of the upper layer, after the last lane";
    EXPECT_EQ(count_buckets(), 4u);
  });
}

// Two heads of which lanes use one each, a frozen layer, and a weight used twice.
class OddModel : public nn::Module {
 public:
  OddModel() {
    shared_ = add_parameter("shared", {4, 4}, nn::Init::normal(0, 0.5));
    tie_parameter("shared_again", shared_);
    left_ = add_parameter("left", {1, 4}, nn::Init::normal(0, 0.5));
    right_ = add_parameter("right", {1, 4}, nn::Init::normal(0, 0.5));
    never_ = add_parameter("never", {3}, nn::Init::constant(1));
    frozen_ = add_parameter("frozen", {1, 4}, nn::Init::constant(2));
    frozen_.set_requires_grad(false);
  }
  Tensor forward_leaf(std::int64_t leaf) {
    const Tensor& head = leaf % 2 == 0 ? left_ : right_;
    const Tensor twice = ops::mul(shared_, shared_);
    return ops::mul(ops::mul(twice, head), frozen_);
  }

 private:
  Tensor shared_, left_, right_, never_, frozen_;
};

TEST(Mirrored, UnusedFrozenAndTiedParametersWorkAndAgree) {
  std::set<std::string> hashes;
  std::mutex mutex;
  for (const int world : {1, 2, 4}) {
    comm::run_local(world, [&](comm::World ranks) {
      OddModel model;
      optim::AdamW adamw({.lr = 0.1, .weight_decay = 0.1});
      Mirrored strategy(ranks, {.seed = 1});
      strategy.prepare(model, adamw);
      for (std::int64_t step = 0; step < 3; ++step) {
        test::run_step({4, 1, 4}, step, ranks.rank(), ranks.size(), [&](std::int64_t leaf) {
          ops::mean(model.forward_leaf(leaf)).backward();
          strategy.step();
        });
      }
      const std::lock_guard lock(mutex);
      for (const auto& parameter : model.parameters()) {
        if (parameter.name == "never" || parameter.name == "frozen") {  // no gradient: no decay either
          EXPECT_EQ(parameter.tensor.array().to_vector<float>()[0], parameter.name == "never" ? 1.0f : 2.0f);
        } else {
          EXPECT_NE(parameter.name, "shared_again");
          EXPECT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
        }
      }
      hashes.insert(params_hash(strategy.full_parameters()));
    });
  }
  EXPECT_EQ(hashes.size(), 1u);
}

TEST(Mirrored, DifferentModelsAreAnErrorThatNamesTheParameterOnEveryRank) {
  int errors = 0;
  std::mutex mutex;
  comm::run_local(3, [&](comm::World ranks) {
    auto model = nn::Sequential(nn::Linear(4, ranks.rank() == 2 ? 3 : 2));
    optim::SGD sgd({.lr = 0.1});
    Mirrored strategy(ranks);
    try {
      strategy.prepare(model, sgd);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("0.weight f32[2, 4]"), std::string::npos) << error.what();
      const std::lock_guard lock(mutex);
      ++errors;
    }
  });
  EXPECT_EQ(errors, 3);
}

TEST(Mirrored, AModelLargerThanTheMachineIsAnErrorBeforeAnythingIsAllocated) {
  comm::run_local(1, [&](comm::World ranks) {
    auto model = nn::Sequential(nn::Linear(1 << 20, 1 << 20));  // 4 TiB of weights, deferred
    optim::AdamW adamw;
    Mirrored strategy(ranks);
    try {
      strategy.prepare(model, adamw);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("the job does not fit"), std::string::npos) << error.what();
    }
  });
}

TEST(Mirrored, WithoutALoaderRanksAreWeightedByTheirLosses) {
  comm::run_local(2, [&](comm::World ranks) {
    auto model = make_model();
    optim::SGD sgd({.lr = 0});
    Mirrored strategy(ranks, {.seed = 3});
    strategy.prepare(model, sgd);
    const std::int64_t items = ranks.rank() == 0 ? 3 : 1;
    const std::int64_t begin = ranks.rank() == 0 ? 0 : 3;
    ops::cross_entropy(model(Tensor(inputs_of(0, begin, items))), labels_of(0, begin, items)).backward();
    EXPECT_TRUE(strategy.step());
    const Array together = model.parameters()[0].tensor.grad().clone();
    const double loss = strategy.report().loss;

    auto reference = make_model();
    reference.initialize(3);
    step_context().owner = nullptr;
    const Tensor whole = ops::cross_entropy(reference(Tensor(inputs_of(0, 0, 4))), labels_of(0, 0, 4));
    whole.backward();
    EXPECT_NEAR(loss, whole.item(), 1e-6);
    const auto expected = reference.parameters()[0].tensor.grad().to_vector<float>();
    const auto got = together.to_vector<float>();
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_NEAR(got[i], expected[i], 1e-6);
    }
  });
}

TEST(Mirrored, NoSyncAccumulatesUntilTheLastBackward) {
  comm::run_local(2, [&](comm::World ranks) {
    auto model = make_model();
    optim::SGD sgd({.lr = 0});
    Mirrored strategy(ranks, {.seed = 3});
    strategy.prepare(model, sgd);
    const std::int64_t begin = ranks.rank() * 4;
    {
      const auto guard = strategy.no_sync();
      ops::cross_entropy(model(Tensor(inputs_of(0, begin, 2))), labels_of(0, begin, 2)).backward();
    }
    ops::cross_entropy(model(Tensor(inputs_of(0, begin + 2, 2))), labels_of(0, begin + 2, 2)).backward();
    strategy.step();
    const auto got = model.parameters()[0].tensor.grad().to_vector<float>();

    auto reference = make_model();
    reference.initialize(3);
    step_context().owner = nullptr;
    ops::cross_entropy(reference(Tensor(inputs_of(0, 0, 8))), labels_of(0, 0, 8)).backward();
    const auto expected = reference.parameters()[0].tensor.grad().to_vector<float>();
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_NEAR(got[i], expected[i], 1e-6);
    }
  });
}

TEST(Mirrored, MisuseIsAnErrorThatSaysWhatToDo) {
  comm::run_local(1, [&](comm::World ranks) {
    auto model = make_model();
    optim::SGD sgd({.lr = 0.1});
    Mirrored strategy(ranks);
    EXPECT_THROW(strategy.step(), Error);  // before prepare
    strategy.prepare(model, sgd);
    EXPECT_THROW(strategy.step(), Error);  // before backward
    EXPECT_THROW(strategy.prepare(model, sgd), Error);
    const auto loss = [&] { return ops::cross_entropy(model(Tensor(inputs_of(0, 0, 2))), labels_of(0, 0, 2)); };
    loss().backward();
    try {
      loss().backward();
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("no_sync"), std::string::npos);
    }
  });
}

}  // namespace
}  // namespace trireme::strategies
