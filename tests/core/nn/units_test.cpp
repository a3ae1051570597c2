// Units: which parameter belongs to which, marked by the model or chosen from outside.
#include "trireme/core/nn/units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "trireme/core/base/error.h"
#include "trireme/core/nn/models/gpt.h"
#include "trireme/core/nn/models/mlp.h"
#include "trireme/core/nn/models/resnet.h"

namespace trireme::nn {
namespace {

using Names = std::vector<std::string>;

struct Weighted : Module {
  explicit Weighted(bool unit = false) {
    weight = add_parameter("weight", {2, 2}, Init::constant(1));
    if (unit) {
      mark_as_unit();
    }
  }
  Tensor weight;
};

// A unit with a unit in it, and another that ties a leaf of the first.
struct Tree final : Module {
  Tree() {
    bias = add_parameter("bias", {3}, Init::constant(0));
    outer = add("outer", Outer());
    other = add("other", Tying(outer->shared));
    plain = add("plain", Weighted());
  }
  struct Outer final : Module {
    Outer() {
      mark_as_unit();
      own = add_parameter("own", {2}, Init::constant(1));
      shared = add_parameter("shared", {2}, Init::constant(1));
      inner = add("inner", Weighted(true));
    }
    Tensor own, shared;
    Child<Weighted> inner;
  };
  struct Tying final : Module {
    explicit Tying(const Tensor& leaf) {
      mark_as_unit();
      weight = add_parameter("weight", {2}, Init::constant(1));
      tie_parameter("shared_again", leaf);
      tie_parameter("weight_again", weight);
    }
    Tensor weight;
  };
  Tensor bias;
  Child<Outer> outer;
  Child<Tying> other;
  Child<Weighted> plain;
};

Names names_of(const std::vector<NamedParameter>& parameters) {
  Names names;
  for (const NamedParameter& parameter : parameters) {
    names.push_back(parameter.name);
  }
  return names;
}

std::vector<std::pair<std::string, Names>> described(const std::vector<Unit>& units) {
  std::vector<std::pair<std::string, Names>> out;
  for (const Unit& unit : units) {
    out.emplace_back(unit.path, names_of(unit.parameters));
  }
  return out;
}

TEST(Units, PartitionTheParametersInnermostFirstTiedAcrossUnitsToTheRoot) {
  const std::vector<std::pair<std::string, Names>> expected = {
      {"", {"bias", "outer.shared", "plain.weight"}},
      {"outer", {"outer.own"}},
      {"outer.inner", {"outer.inner.weight"}},
      {"other", {"other.weight"}},
  };
  EXPECT_EQ(described(units_of(Tree())), expected);
}

TEST(Units, ChosenByPathReplaceTheMarkedOnes) {
  const std::vector<std::string> paths = {"plain", "outer.inner"};
  const std::vector<std::pair<std::string, Names>> expected = {
      {"", {"bias", "outer.own", "outer.shared", "other.weight"}},
      {"outer.inner", {"outer.inner.weight"}},
      {"plain", {"plain.weight"}},
  };
  EXPECT_EQ(described(units_of(Tree(), paths)), expected);
}

TEST(Units, OfNoPathIsTheWholeModelAsOne) {
  const std::vector<Unit> units = units_of(Tree(), {});
  ASSERT_EQ(units.size(), 1u);
  EXPECT_EQ(names_of(units[0].parameters), names_of(Tree().parameters()));
}

TEST(Units, APathOfNoModuleIsAnErrorThatListsThem) {
  const std::vector<std::string> paths = {"outer.own"};  // a parameter
  try {
    units_of(Tree(), paths);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_THAT(error.what(), testing::HasSubstr("'outer.own' given"));
    EXPECT_THAT(error.what(), testing::HasSubstr("outer, outer.inner, other, plain"));
  }
}

TEST(Units, HandlesReachTheModulesOfTheModel) {
  Tree tree;
  for (const Unit& unit : units_of(tree)) {
    unit.module->train(false);
    EXPECT_EQ(unit.module->path(), unit.path);
  }
  EXPECT_FALSE(tree.training());
  EXPECT_FALSE(tree.outer->inner->training());
}

TEST(Units, OfAPartOfAModelHavePathsFromThere) {
  Tree tree;
  const std::vector<Unit> units = units_of(*tree.outer);
  ASSERT_EQ(units.size(), 2u);
  EXPECT_EQ(units[1].path, "inner");
  EXPECT_EQ(names_of(units[1].parameters), Names{"inner.weight"});
}

TEST(Units, OfTheModelsAreTheirBlocks) {
  const std::vector<Unit> gpt = units_of(GPT({.layers = 11, .heads = 1, .width = 4, .context = 4, .vocab = 8}));
  ASSERT_EQ(gpt.size(), 12u);
  EXPECT_EQ(names_of(gpt[0].parameters), (Names{"transformer.wte.weight", "transformer.wpe.weight",
                                                "transformer.ln_f.weight", "transformer.ln_f.bias"}));
  EXPECT_EQ(gpt[2].path, "transformer.h.1");
  EXPECT_EQ(gpt[2].parameters.size(), 12u) << "and none of transformer.h.10";
  EXPECT_EQ(gpt[11].path, "transformer.h.10");
  const std::vector<Unit> resnet = units_of(ResNet({.blocks = 2}));
  ASSERT_EQ(resnet.size(), 7u);
  EXPECT_EQ(resnet[3].path, "layer2.0");
  EXPECT_EQ(units_of(SimpleNet()).size(), 1u);
}

TEST(Units, CheckpointingIsSwitchedForAllMarkedModules) {
  Tree tree;
  EXPECT_EQ(checkpoint_activations(tree), 3);
  EXPECT_TRUE(tree.outer->inner->activation_checkpointing());
  EXPECT_FALSE(tree.plain->activation_checkpointing());
  EXPECT_EQ(checkpoint_activations(tree, false), 3);
  EXPECT_FALSE(tree.outer->activation_checkpointing());
  EXPECT_EQ(checkpoint_activations(SimpleNet()), 0);
}

TEST(Module, ListsEveryNameOfATiedLeaf) {
  const std::vector<NamedParameter> all = Tree().parameters_and_ties();
  EXPECT_EQ(names_of(all), (Names{"bias", "outer.own", "outer.shared", "outer.inner.weight", "other.weight",
                                  "other.shared_again", "other.weight_again", "plain.weight"}));
  EXPECT_TRUE(same_leaf(all[2].tensor, all[5].tensor));
  EXPECT_FALSE(same_leaf(all[1].tensor, all[5].tensor));
}

}  // namespace
}  // namespace trireme::nn
