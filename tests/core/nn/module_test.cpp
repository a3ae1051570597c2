// The tree of modules: names, order, tying, sharing, first values and the training switch.
#include "trireme/core/nn/module.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "trireme/core/base/error.h"

namespace trireme::nn {
namespace {

struct Leaf final : Module {
  explicit Leaf(std::int64_t size) { weight = add_parameter("weight", {size, 2}, Init::normal(0, 1)); }
  Tensor forward(const Tensor& input) override { return input; }
  Tensor weight;
};

struct Pair final : Module {
  Pair() {
    first = add("first", Leaf(3));
    second = add("second", Leaf(4));
    bias = add_parameter("bias", {5}, Init::constant(2));
    mean = add_buffer("mean", Array::zeros({5}), 0.1);
  }
  Child<Leaf> first;
  Child<Leaf> second;
  Tensor bias;
  NamedBuffer mean;
};

struct Root final : Module {
  Root() { pair = add("body.0", Pair()); }
  Child<Pair> pair;
};

std::vector<std::string> names_of(const Module& module) {
  std::vector<std::string> names;
  for (const NamedParameter& parameter : module.parameters()) {
    names.push_back(parameter.name);
  }
  return names;
}

TEST(Module, NamesAreJoinedByDotsOwnParametersFirst) {
  EXPECT_EQ(names_of(Root()), (std::vector<std::string>{"body.0.bias", "body.0.first.weight", "body.0.second.weight"}));
}

TEST(Module, EachModuleKnowsItsPathHoweverLateItsParentsAreBuilt) {
  Root root;
  EXPECT_EQ(root.path(), "");
  EXPECT_EQ(root.pair->path(), "body.0");
  EXPECT_EQ(root.pair->second->path(), "body.0.second");
}

TEST(Module, CopiesShareTheirParameters) {
  Root root;
  Root copy = root;
  copy.initialize(1);
  EXPECT_TRUE(root.pair->bias.array().defined());
  EXPECT_EQ(root.pair->bias.array().to_vector<float>(), std::vector<float>(5, 2));
}

struct Tied final : Module {
  explicit Tied(bool owner_first) {
    Leaf leaf(3);
    if (owner_first) {
      add("owner", leaf);
    }
    tie_parameter("head", leaf.weight);
    if (!owner_first) {
      add("owner", leaf);
    }
  }
};

TEST(Module, ATiedParameterAppearsOnceUnderItsFirstNameWithItsOwnersInit) {
  const std::vector<NamedParameter> parameters = Tied(false).parameters();
  ASSERT_EQ(parameters.size(), 1u);
  EXPECT_EQ(parameters[0].name, "head");  // a module's own parameters come before its children's
  EXPECT_EQ(parameters[0].init.kind, Init::Kind::normal);
  EXPECT_EQ(Tied(true).parameters().size(), 1u);
}

TEST(Module, InitializeLeavesParametersThatHaveValuesAlone) {
  Root root;
  root.pair->bias.set_value(Array::full({5}, 7));
  root.initialize(1);
  EXPECT_EQ(root.pair->bias.array().to_vector<float>(), std::vector<float>(5, 7));
  EXPECT_TRUE(root.pair->first->weight.array().defined());
}

TEST(Module, TrainingSwitchReachesEveryModuleBelow) {
  Root root;
  EXPECT_TRUE(root.pair->first->training());
  root.train(false);
  EXPECT_FALSE(root.training());
  EXPECT_FALSE(root.pair->first->training());
  root.train();
  EXPECT_TRUE(root.pair->first->training());
}

TEST(Module, BuffersHaveObservationsOnlyIfTheyMove) {
  const std::vector<NamedBuffer> buffers = Root().buffers();
  ASSERT_EQ(buffers.size(), 1u);
  EXPECT_EQ(buffers[0].name, "body.0.mean");
  ASSERT_TRUE(buffers[0].observation);
  EXPECT_FALSE(buffers[0].observation->fresh);
  EXPECT_EQ(buffers[0].observation->momentum, 0.1);
}

TEST(Module, AModuleWithoutATensorToTensorForwardSaysSo) {
  Root root;
  try {
    (*root.pair).forward(Tensor());
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("body.0"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace trireme::nn
