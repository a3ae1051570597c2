// What cannot be: each is an error that names the parameter and says what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "tests/strategies/fully_sharded/runs.h"
#include "tests/support/error_of.h"
#include "tests/support/lane_loop.h"
#include "trireme/core/nn/activation.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/nn/sequential.h"
#include "trireme/core/ops/reduce.h"
#include "trireme/core/optim/sgd.h"

namespace trireme::test {
namespace {

using strategies::FullySharded;
using strategies::FullyShardedOptions;
using testing::HasSubstr;

class Block final : public nn::Module {
 public:
  Block() {
    mark_as_unit();
    fc_ = add("fc", nn::Linear(4, 4));
  }
  Tensor forward(const Tensor& x) override { return fc_(x); }

 private:
  nn::Child<nn::Linear> fc_;
};

class Net final : public nn::Module {
 public:
  explicit Net(int calls = 1) : calls_(calls) {
    in_ = add("in", nn::Linear(3, 4));
    block_ = add("block", Block());
  }
  Tensor forward(const Tensor& x) override {
    Tensor out = in_(x);
    for (int i = 0; i < calls_; ++i) {
      out = block_(out);
    }
    return ops::mean(out);
  }
  const nn::Child<nn::Linear>& in() const { return in_; }

 private:
  int calls_;
  nn::Child<nn::Linear> in_;
  nn::Child<Block> block_;
};

Tensor data() { return Tensor(Array::full({2, 3}, 0.5)); }

// Prepares a net with the gathered home and hands it on; one rank.
template <class Body>
std::string error_with(Net net, const FullyShardedOptions& options, Body&& body) {
  std::string text;
  run_ranks(Over::local, 1, [&](comm::World world) {
    optim::SGD sgd({.lr = 0.1});
    FullySharded strategy(world, options);
    strategy.prepare(net, sgd);
    text = error_of([&] { body(net, strategy); });
  });
  return text;
}

const FullyShardedOptions kGathered{.share_memory = false};

class Homes : public testing::TestWithParam<bool> {
 protected:
  static FullyShardedOptions options() { return {.share_memory = GetParam()}; }
};

TEST_P(Homes, AUnitUsedTwiceIsNamed) {
  const std::string text = error_with(Net(2), options(), [](Net& net, FullySharded&) { net(data()).backward(); });
  EXPECT_THAT(text, HasSubstr("unit block (block.fc.weight and 1 more) was used twice before backward()"));
  EXPECT_THAT(text, HasSubstr("no_sync"));
}

TEST_P(Homes, TwoForwardsBeforeOneBackwardNameTheUnit) {
  const std::string text = error_with(Net(), options(), [](Net& net, FullySharded&) {
    const Tensor first = net(data());
    const Tensor second = net(data());
  });
  EXPECT_THAT(text, HasSubstr("unit block (block.fc.weight and 1 more) was used twice"));
}

TEST_P(Homes, ALossThatWasDroppedIsNoUse) {
  EXPECT_EQ(error_with(Net(), options(),
                       [](Net& net, FullySharded& strategy) {
                         net(data());
                         for (int step = 0; step < 2; ++step) {
                           net(data()).backward();
                           strategy.step();
                         }
                       }),
            "no error");
}

TEST_P(Homes, BackwardBeforeForwardNamesAParameter) {
  Net net;
  net.initialize(1);
  const Tensor early = net(data());
  const std::string text = error_with(net, options(), [&](Net&, FullySharded&) { early.backward(); });
  EXPECT_THAT(text, HasSubstr("parameter in.weight has had no forward pass since prepare()"));
}

TEST_P(Homes, AForwardThatIsNotAnnouncedNamesAParameter) {
  const std::string text =
      error_with(Net(), options(), [](Net& net, FullySharded&) { net.forward(data()).backward(); });
  EXPECT_THAT(text, HasSubstr("parameter in."));
  EXPECT_THAT(text, HasSubstr("nn::ForwardScope"));
}

TEST_P(Homes, AReplacedValueNamesTheParameter) {
  const std::string text = error_with(Net(), options(), [](Net& net, FullySharded&) {
    const Tensor loss = net(data());
    Tensor weight = net.parameters()[0].tensor;
    weight.set_value(Array::zeros(weight.shape()));
    loss.backward();
  });
  EXPECT_THAT(text, HasSubstr("parameter in.weight was given another array after prepare()"));
}

INSTANTIATE_TEST_SUITE_P(Both, Homes, testing::Bool(),
                         [](const auto& info) { return std::string(info.param ? "mapped" : "gathered"); });

TEST(FullyShardedErrors, UseOutsideAUnitNamesParameterAndUnit) {
  const auto first_element = [](std::size_t parameter) {
    return error_with(Net(), kGathered, [parameter](Net& net, FullySharded&) {
      net.parameters()[parameter].tensor.array().data<float>();
    });
  };
  EXPECT_THAT(first_element(2), HasSubstr("parameter block.fc.weight is sharded"));
  EXPECT_THAT(first_element(2), HasSubstr("its unit block"));
  EXPECT_THAT(first_element(2), HasSubstr("full_parameters()"));
  EXPECT_THAT(first_element(0), HasSubstr("parameter in.weight is sharded"));
}

TEST(FullyShardedErrors, AnErrorInForwardLeavesTheStrategyUsable) {
  EXPECT_EQ(error_with(Net(), kGathered,
                       [](Net& net, FullySharded& strategy) {
                         EXPECT_THROW(net(Tensor(Array::full({2, 5}, 0.5))), Error);
                         net(data()).backward();
                         EXPECT_TRUE(strategy.step());
                       }),
            "no error");
}

TEST(FullyShardedErrors, DifferentParametersOnRanksAreNamedOnEveryRank) {
  int errors = 0;
  std::mutex mutex;
  run_ranks(Over::local, 3, [&](comm::World world) {
    auto model = nn::Sequential(nn::Linear(4, world.rank() == 2 ? 3 : 2));
    optim::SGD sgd({.lr = 0.1});
    FullySharded strategy(world);
    const std::string text = error_of([&] { strategy.prepare(model, sgd); });
    EXPECT_THAT(text, HasSubstr("0.weight f32[2, 4]"));
    const std::lock_guard lock(mutex);
    ++errors;
  });
  EXPECT_EQ(errors, 3);
}

TEST(FullyShardedErrors, OptionsThatDoNotFit) {
  run_ranks(Over::local, 4, [&](comm::World world) {
    const auto refusal = [&](const FullyShardedOptions& options) {
      return error_of([&] { FullySharded strategy(world, options); });
    };
    EXPECT_THAT(refusal({.zero_stage = 0}), HasSubstr("1, 2 or 3 expected"));
    EXPECT_THAT(refusal({.zero_stage = 4}), HasSubstr("zero_stage 4"));
    EXPECT_THAT(refusal({.shard_group = 3}), HasSubstr("a divisor of the number of ranks"));
    EXPECT_THAT(refusal({.reshard_after_forward = 3}), HasSubstr("true, false or a divisor"));
    EXPECT_THAT(refusal({.zero_stage = 2, .reshard_after_forward = 2}), HasSubstr("only stage 3"));
    EXPECT_EQ(refusal({.reshard_after_forward = 2, .shard_group = 2}), "no error");
  });
}

TEST(FullyShardedErrors, AUnitThatDoesNotExistIsNamedWithThoseThatDo) {
  run_ranks(Over::local, 1, [&](comm::World world) {
    Net net;
    optim::SGD sgd({.lr = 0.1});
    FullySharded strategy(world, {.units = std::vector<std::string>{"blok"}});
    EXPECT_THAT(error_of([&] { strategy.prepare(net, sgd); }), HasSubstr("'blok' given"));
  });
}

TEST(FullyShardedErrors, TheModelIsItsOwnAgainWhenTheStrategyIsGone) {
  run_ranks(Over::local, 1, [&](comm::World world) {
    Net net;
    optim::SGD sgd({.lr = 0.1});
    Tensor late;
    {
      FullySharded strategy(world);
      strategy.prepare(net, sgd);
      late = net(data());
    }
    late.backward();  // the tape outlives the strategy
    EXPECT_TRUE(net.parameters()[0].tensor.grad().defined());
    net(data()).backward();
  });
}

}  // namespace
}  // namespace trireme::test
