// Layers: names and shapes of their parameters, what they compute, how they begin.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "trireme/core/base/error.h"
#include "trireme/core/nn/activation.h"
#include "trireme/core/nn/dropout.h"
#include "trireme/core/nn/embedding.h"
#include "trireme/core/nn/layer_norm.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/nn/models/mlp.h"
#include "trireme/core/nn/sequential.h"

namespace trireme::nn {
namespace {

std::string summary(const Module& module) {
  std::string text;
  for (const NamedParameter& parameter : module.parameters()) {
    text += parameter.name + to_string(parameter.tensor.shape()) + " ";
  }
  return text;
}

Array row_of(std::vector<float> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  return Array::from(values, {1, count});
}

TEST(Linear, ComputesTheAffineMapInBothLayouts) {
  for (const auto layout : {ops::WeightLayout::out_in, ops::WeightLayout::in_out}) {
    Linear linear(2, 3, {.layout = layout});
    auto parameters = linear.parameters();
    const Array weight = Array::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2});
    parameters[0].tensor.set_value(layout == ops::WeightLayout::out_in ? weight : weight.transpose(0, 1).contiguous());
    parameters[1].tensor.set_value(Array::from(std::vector<float>{10, 20, 30}, {3}));
    EXPECT_EQ(linear(Tensor(row_of({1, -1}))).array().to_vector<float>(), (std::vector<float>{9, 19, 29}));
  }
}

TEST(Linear, BeginsAsPyTorchDoes) {
  Linear linear(400, 50);
  linear.initialize(3);
  for (const NamedParameter& parameter : linear.parameters()) {
    const std::vector<float> values = parameter.tensor.array().to_vector<float>();
    EXPECT_LE(*std::max_element(values.begin(), values.end()), 0.05f);
    EXPECT_GE(*std::min_element(values.begin(), values.end()), -0.05f);
    EXPECT_GT(*std::max_element(values.begin(), values.end()), 0.045f);
  }
}

TEST(Linear, WithoutBiasHasOneParameter) {
  EXPECT_EQ(summary(Linear(4, 2, {.bias = false})), "weight[2, 4] ");
  EXPECT_THROW(Linear(0, 2), Error);
}

TEST(Sequential, NamesByNumberAndRunsInOrder) {
  Sequential model(Linear(784, 128), ReLU(), Linear(128, 10));
  EXPECT_EQ(summary(model), "0.weight[128, 784] 0.bias[128] 2.weight[10, 128] 2.bias[10] ");
  model.initialize(1);
  EXPECT_EQ(model(Tensor(Array::zeros({5, 784}))).shape(), (Shape{5, 10}));
  Sequential copy(model);
  EXPECT_EQ(copy.size(), 3u);
}

TEST(SimpleNet, HasTheNamesAndShapesOfThePyTorchProgram) {
  EXPECT_EQ(summary(SimpleNet()), "fc.0.weight[128, 784] fc.0.bias[128] fc.2.weight[10, 128] fc.2.bias[10] ");
}

TEST(Activations, AreTheOpsOfTheirNames) {
  const Tensor x(row_of({-2, 0, 2}));
  EXPECT_EQ(ReLU()(x).array().to_vector<float>(), (std::vector<float>{0, 0, 2}));
  EXPECT_NEAR(Tanh()(x).array().to_vector<float>()[2], std::tanh(2.0), 1e-6);
  EXPECT_NEAR(Sigmoid()(x).array().to_vector<float>()[0], 1 / (1 + std::exp(2.0)), 1e-6);
  EXPECT_NEAR(GELU()(x).array().to_vector<float>()[2], 1.9545977, 1e-6);
  EXPECT_EQ(Flatten()(Tensor(Array::zeros({4, 3, 2, 2}))).shape(), (Shape{4, 12}));
}

TEST(LayerNorm, BeginsAsPlainNormalization) {
  LayerNorm norm(4);
  norm.initialize(0);
  const std::vector<float> y = norm(Tensor(row_of({1, 2, 3, 4}))).array().to_vector<float>();
  EXPECT_NEAR(y[0], -1.5 / std::sqrt(1.25 + 1e-5), 1e-6);
  EXPECT_NEAR(y[3], 1.5 / std::sqrt(1.25 + 1e-5), 1e-6);
  EXPECT_EQ(summary(norm), "weight[4] bias[4] ");
}

TEST(Embedding, ChoosesRowsAndMarksSparseTables) {
  Embedding table(3, 2, {.sparse = true});
  auto parameters = table.parameters();
  EXPECT_TRUE(parameters[0].sparse);
  parameters[0].tensor.set_value(Array::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2}));
  const Tensor out = table(Array::from(std::vector<std::int64_t>{2, 0, 2}, {3}));
  EXPECT_EQ(out.array().to_vector<float>(), (std::vector<float>{5, 6, 1, 2, 5, 6}));
}

class DropoutTest : public testing::Test {
 protected:
  ~DropoutTest() override { step_context() = StepContext(); }

  static std::vector<float> mask(Dropout& dropout) {
    return dropout(Tensor(Array::full({64}, 1))).array().to_vector<float>();
  }
  static void begin_leaf(std::int64_t step, std::int64_t leaf) {
    step_context().step = step;
    step_context().leaf = leaf;
    ++step_context().pass;
  }
};

TEST_F(DropoutTest, EvaluationAndProbabilityZeroPassTheInputOn) {
  Dropout half(0.5), none(0);
  half.train(false);
  EXPECT_EQ(mask(half), std::vector<float>(64, 1));
  EXPECT_EQ(mask(none), std::vector<float>(64, 1));
  EXPECT_THROW(Dropout(1), Error);
}

TEST_F(DropoutTest, CallsOfALeafHaveTheirOwnMasksAndARepeatedLeafRepeatsThem) {
  Dropout dropout(0.5);
  begin_leaf(4, 1);
  const std::vector<float> first = mask(dropout), second = mask(dropout);
  EXPECT_NE(first, second);
  begin_leaf(4, 2);
  EXPECT_NE(mask(dropout), first);
  begin_leaf(4, 1);  // a step done again after a failure
  EXPECT_EQ(mask(dropout), first);
  EXPECT_EQ(mask(dropout), second);
}

TEST_F(DropoutTest, ModulesAtDifferentPathsHaveDifferentMasks) {
  Sequential model(Dropout(0.5), Dropout(0.5));
  begin_leaf(0, 0);
  const Tensor ones(Array::full({64}, 1));
  const auto children = model.children();
  EXPECT_NE(children[0].second->forward(ones).array().to_vector<float>(),
            children[1].second->forward(ones).array().to_vector<float>());
}

}  // namespace
}  // namespace trireme::nn
