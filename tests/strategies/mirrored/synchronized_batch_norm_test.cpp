// Synchronized batch normalization: ranks with a part of the batch each against one process with all of it.
#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <utility>

#include "tests/core/ops/same_bits.h"
#include "tests/strategies/mirrored/small_run.h"
#include "tests/support/op_check.h"
#include "trireme/comm/environment.h"
#include "trireme/core/autograd/checkpoint.h"
#include "trireme/core/nn/activation.h"
#include "trireme/core/nn/batch_norm.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/nn/sequential.h"
#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/batch_norm.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/core/ops/reduce.h"
#include "trireme/core/optim/sgd.h"
#include "trireme/strategies/mirrored/mirrored.h"

namespace trireme::strategies {
namespace {

struct SummingOwner final : StepOwner {
  explicit SummingOwner(comm::Communicator& communicator) : ranks(communicator) {}
  double begin_backward(const Array&, double, bool) override { return 1; }
  void run_idle_step() override {}
  void sum_over_batch(const Array& values, std::string_view name) override {
    ++exchanges;
    ranks.all_reduce(values, comm::ReduceOp::sum, {.name = name}).wait();
  }
  comm::Communicator& ranks;
  int exchanges = 0;
};

void expect_near(const Array& got, const Array& expected, double tolerance, const std::string& what) {
  const std::vector<double> a = got.to(DType::f64).to_vector<double>();
  const std::vector<double> b = expected.to(DType::f64).to_vector<double>();
  ASSERT_EQ(a.size(), b.size()) << what;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_NEAR(a[i], b[i], tolerance * std::max(1.0, std::abs(b[i]))) << what << "[" << i << "]";
  }
}

// The whole batch's op has its gradients checked against finite differences; the parts must have the same ones.
TEST(SynchronizedBatchNorm, PartsOfABatchHaveTheValuesAndGradientsOfTheWhole) {
  for (const Shape& shape : {Shape{7, 3, 2, 2}, Shape{9, 4}}) {
    const std::int64_t items = shape[0];
    const Array x = test::random_array(shape, 1, 99, 101);
    const Array weight = test::random_array({shape[1]}, 2);
    const Array bias = test::random_array({shape[1]}, 3);
    const Array upstream = test::random_array(shape, 4);
    const Tensor whole_x = Tensor::leaf(x);
    const Tensor whole_weight = Tensor::leaf(weight);
    const Tensor whole_bias = Tensor::leaf(bias);
    ops::BatchStatistics whole_statistics;
    const Tensor whole = ops::batch_norm(whole_x, whole_weight, whole_bias, {}, {}, {}, &whole_statistics);
    whole.backward(upstream);
    comm::run_local(3, [&](comm::World world) {
      SummingOwner owner(*world.communicator());
      const std::int64_t begin = world.rank() * 2;  // 2, 2 and the rest
      const std::int64_t mine = world.rank() == 2 ? items - begin : 2;
      const Tensor part = Tensor::leaf(x.narrow(0, begin, mine).clone());
      const Tensor part_weight = Tensor::leaf(weight.clone());
      const Tensor part_bias = Tensor::leaf(bias.clone());
      ops::BatchStatistics statistics;
      const Tensor y = ops::batch_norm(part, part_weight, part_bias, {}, {}, {.owner = &owner}, &statistics);
      expect_near(y.array(), whole.array().narrow(0, begin, mine), 1e-11, "y");
      expect_near(statistics.mean, whole_statistics.mean, 1e-13, "mean");
      expect_near(statistics.variance, whole_statistics.variance, 1e-11, "variance");
      y.backward(upstream.narrow(0, begin, mine).contiguous());
      expect_near(part.grad(), whole_x.grad().narrow(0, begin, mine), 1e-11, "dx");
      for (const Array& gradient : {part_weight.grad(), part_bias.grad()}) {
        owner.sum_over_batch(gradient, "gradients");
      }
      expect_near(part_weight.grad(), whole_weight.grad(), 1e-11, "dweight");
      expect_near(part_bias.grad(), whole_bias.grad(), 1e-11, "dbias");
    });
  }
}

TEST(SynchronizedBatchNorm, IsMeasuredOnceThoughForwardRunsAgainInBackward) {
  comm::run_local(2, [&](comm::World world) {
    SummingOwner owner(*world.communicator());
    const auto train = [&](bool again) {
      const Tensor x = Tensor::leaf(test::random_array({4, 3}, static_cast<std::uint64_t>(world.rank())));
      const Tensor weight = Tensor::leaf(test::random_array({3}, 2));
      const Tensor bias = Tensor::leaf(test::random_array({3}, 3));
      const auto part = [=, &owner] { return ops::batch_norm(x, weight, bias, {}, {}, {.owner = &owner}); };
      const Tensor y = again ? checkpointed(part) : part();
      y.backward(test::random_array({4, 3}, 4));
      EXPECT_EQ(std::exchange(owner.exchanges, 0), 3);  // two in forward, one in backward
      return std::vector<Array>{y.array(), x.grad(), weight.grad(), bias.grad()};
    };
    const std::vector<Array> plain = train(false);
    const std::vector<Array> checkpointed_ones = train(true);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      test::expect_same_bits(plain[i], checkpointed_ones[i], std::to_string(i));
    }
  });
}

nn::Sequential make_normalized(bool synchronized) {
  const nn::BatchNormOptions norm{.synchronized = synchronized};
  return nn::Sequential(nn::Linear(kFeatures, 8), nn::BatchNorm1d(8, norm), nn::ReLU(), nn::Linear(8, 8),
                        nn::BatchNorm1d(8, norm), nn::ReLU(), nn::Linear(8, kClasses));
}

struct Trained {
  std::vector<double> losses;
  std::vector<nn::NamedParameter> parameters;
  std::vector<nn::NamedBuffer> buffers;
  std::string hash;
};

// One lane a rank, over batches of these sizes.
Trained train_normalized(int world_size, bool synchronized, const std::vector<std::int64_t>& batches) {
  Trained outcome;
  std::mutex mutex;
  comm::run_local(world_size, [&](comm::World world) {
    auto model = make_normalized(synchronized);
    optim::SGD sgd({.lr = 0.1});
    Mirrored strategy(world, {.seed = 3, .first_bucket_bytes = 64, .bucket_bytes = 64});
    strategy.prepare(model, sgd);
    std::vector<double> losses;
    for (std::size_t step = 0; step < batches.size(); ++step) {
      const BatchSplit split{world_size, 1, batches[step]};
      test::run_step(split, static_cast<std::int64_t>(step), world.rank(), world_size, [&](std::int64_t leaf) {
        loss_of(model, split, static_cast<std::int64_t>(step), leaf).backward();
        EXPECT_TRUE(strategy.step());
      });
      losses.push_back(strategy.report().loss);
    }
    const std::lock_guard lock(mutex);
    const std::string hash = params_hash(strategy.full_parameters());
    EXPECT_TRUE(outcome.hash.empty() || outcome.hash == hash) << "ranks ended with different parameters";
    outcome = {losses, model.parameters(), model.buffers(), hash};
  });
  return outcome;
}

class SynchronizedWorlds : public testing::TestWithParam<int> {};

// Uneven batches, and some in which not every rank has an item. Two items a channel enlarge what f32 rounds, hence the
// tolerance of the parameters.
TEST_P(SynchronizedWorlds, TrainLikeOneProcessWithTheWholeBatch) {
  const std::vector<std::int64_t> batches{12, 12, 11, 7, 3, 12, 2};
  const Trained whole = train_normalized(1, false, batches);
  const Trained parts = train_normalized(GetParam(), true, batches);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    EXPECT_NEAR(parts.losses[i], whole.losses[i], 1e-5 * whole.losses[i]) << "step " << i;
  }
  for (std::size_t i = 0; i < whole.parameters.size(); ++i) {
    expect_near(parts.parameters[i].tensor.array(), whole.parameters[i].tensor.array(), 5e-5, whole.parameters[i].name);
  }
  for (std::size_t i = 0; i < whole.buffers.size(); ++i) {
    expect_near(parts.buffers[i].array, whole.buffers[i].array, 1e-5, whole.buffers[i].name);
  }
}

TEST_P(SynchronizedWorlds, HaveTheSameBitsInEveryRun) {
  EXPECT_EQ(train_normalized(GetParam(), true, {12, 11, 2}).hash, train_normalized(GetParam(), true, {12, 11, 2}).hash);
}

INSTANTIATE_TEST_SUITE_P(Ranks, SynchronizedWorlds, testing::Values(1, 2, 3, 4));

// Rank 1 leaves one head unused, so its bucket starts after backward there and in the middle of it elsewhere, before
// and after the sums of the norm.
class TwoHeads final : public nn::Module {
 public:
  TwoHeads() {
    below_ = add("below", nn::Linear(kFeatures, 4));
    norm_ = add("norm", nn::BatchNorm1d(4, {.synchronized = true}));
    head_ = add("head", nn::Linear(4, 1));
    extra_ = add("extra", nn::Linear(4, 1));
  }
  Tensor forward(const Tensor& x) override {
    const Tensor hidden = norm_(below_(x));
    return use_extra ? ops::add(head_(hidden), extra_(hidden)) : head_(hidden);
  }
  bool use_extra = true;

 private:
  nn::Child<nn::Linear> below_, head_, extra_;
  nn::Child<nn::BatchNorm1d> norm_;
};

TEST(SynchronizedBatchNorm, SumsAndBucketsMayMeetInAnyOrder) {
  comm::run_local(2, [&](comm::World world) {
    TwoHeads model;
    optim::SGD sgd({.lr = 0.1});
    Mirrored strategy(world, {.seed = 3, .first_bucket_bytes = 4, .bucket_bytes = 4});
    strategy.prepare(model, sgd);
    for (std::int64_t step = 0; step < 4; ++step) {
      test::run_step({2, 1, 8}, step, world.rank(), 2, [&](std::int64_t leaf) {
        model.use_extra = leaf != step % 2;
        const Array x = test::random_array({4, kFeatures}, static_cast<std::uint64_t>(9 * step + leaf)).to(DType::f32);
        ops::mean(ops::mul(model(Tensor(x)), model(Tensor(x)))).backward();
        EXPECT_TRUE(strategy.step());
      });
    }
    for (const nn::NamedParameter& parameter : model.parameters()) {
      EXPECT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
    }
  });
}

std::string error_of(int world_size, const BatchSplit& split, bool accumulate_by_hand) {
  std::string message;
  std::mutex mutex;
  comm::run_local(world_size, [&](comm::World world) {
    auto model = make_normalized(true);
    optim::SGD sgd({.lr = 0.1});
    Mirrored strategy(world, {.seed = 3});
    strategy.prepare(model, sgd);
    try {
      if (accumulate_by_hand) {
        const auto guard = strategy.no_sync();
        loss_of(model, split, 0, 0).backward();
      }
      test::run_step(split, 0, world.rank(), world_size, [&](std::int64_t leaf) {
        loss_of(model, split, 0, leaf).backward();
        strategy.step();
      });
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      const std::lock_guard lock(mutex);
      message = error.what();
    }
  });
  return message;
}

TEST(SynchronizedBatchNorm, LanesThatRunOneAfterAnotherAreAUsageErrorThatSaysWhatToDo) {
  EXPECT_NE(error_of(2, {4, 1, 8}, false).find("use lanes = 2 and no accumulation"), std::string::npos);
  EXPECT_NE(error_of(2, {2, 2, 8}, false).find("use lanes = 2 and no accumulation"), std::string::npos);
  EXPECT_NE(error_of(1, {2, 1, 8}, false).find("use lanes = 1 and no accumulation"), std::string::npos);
  EXPECT_NE(error_of(2, {2, 1, 8}, true).find("no_sync"), std::string::npos);
}

TEST(SynchronizedBatchNorm, WithoutAStrategyItIsThePlainOne) {
  std::vector<std::vector<float>> results;
  for (const bool synchronized : {false, true}) {
    auto model = make_normalized(synchronized);
    model.initialize(1);
    results.push_back(model(Tensor(test::random_array({5, kFeatures}, 1).to(DType::f32))).array().to_vector<float>());
  }
  EXPECT_EQ(results[0], results[1]);
}

}  // namespace
}  // namespace trireme::strategies
