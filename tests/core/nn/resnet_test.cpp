// Batch normalization as a module, convolution and pooling layers, and the residual network.
#include "trireme/core/nn/models/resnet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "trireme/core/autograd/step_owner.h"
#include "trireme/core/base/error.h"
#include "trireme/core/nn/loss.h"
#include "trireme/core/nn/pooling.h"

namespace trireme::nn {
namespace {

struct Owner final : StepOwner {
  double begin_backward(const Array&, double, bool) override { return 1; }
  void run_idle_step() override {}
};

class BatchNormTest : public testing::Test {
 protected:
  ~BatchNormTest() override { step_context() = StepContext(); }

  // Two channels over four items: means 2.5 and 10, unbiased variances 5/3 and 20/3.
  const Tensor x_{Array::from(std::vector<float>{1, 7, 2, 9, 3, 11, 4, 13}, {4, 2})};
  Owner owner_;
};

std::vector<float> values(const Array& array) { return array.to_vector<float>(); }

TEST_F(BatchNormTest, TrainingNormalizesByTheBatchAndWithoutAStrategyMovesTheStatistics) {
  BatchNorm1d norm(2);
  norm.initialize(0);
  const std::vector<float> y = values(norm(x_).array());
  EXPECT_NEAR(y[0], -1.5 / std::sqrt(1.25), 1e-5);
  EXPECT_NEAR(y[7], 3 / std::sqrt(5.0), 1e-5);
  const std::vector<NamedBuffer> buffers = norm.buffers();
  EXPECT_NEAR(values(buffers[0].array)[0], 0.25, 1e-6);
  EXPECT_NEAR(values(buffers[0].array)[1], 1.0, 1e-6);
  EXPECT_NEAR(values(buffers[1].array)[1], 0.9 + 0.1 * 20 / 3, 1e-6);
  EXPECT_FALSE(buffers[0].observation->fresh);
}

TEST_F(BatchNormTest, UnderAStrategyTheStatisticsWaitInTheObservation) {
  step_context().owner = &owner_;
  BatchNorm1d norm(2);
  norm.initialize(0);
  norm(x_);
  const std::vector<NamedBuffer> buffers = norm.buffers();
  EXPECT_EQ(values(buffers[0].array), (std::vector<float>{0, 0}));
  ASSERT_TRUE(buffers[0].observation->fresh);
  EXPECT_EQ(values(buffers[0].observation->value), (std::vector<float>{2.5, 10}));
  EXPECT_NEAR(values(buffers[1].observation->value)[0], 5.0 / 3, 1e-6);
  EXPECT_EQ(buffers[0].observation->momentum, 0.1);
}

TEST_F(BatchNormTest, EvaluationUsesTheRunningStatisticsAndObservesNothing) {
  BatchNorm1d norm(2);
  norm.initialize(0);
  norm.train(false);
  const std::vector<float> y = values(norm(x_).array());
  EXPECT_NEAR(y[7], 13 / std::sqrt(1 + 1e-5), 1e-4);
  EXPECT_EQ(values(norm.buffers()[0].array), (std::vector<float>{0, 0}));
}

TEST_F(BatchNormTest, WrongDimsAreAnErrorThatNamesTheModule) {
  BatchNorm2d norm(2);
  norm.initialize(0);
  try {
    norm(x_);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("BatchNorm2d"), std::string::npos) << error.what();
  }
}

TEST(Conv2d, HasPyTorchsShapesAndFirstValues) {
  Conv2d conv(4, 6, 3, {.stride = 2, .padding = 1, .groups = 2});
  const std::vector<NamedParameter> parameters = conv.parameters();
  EXPECT_EQ(parameters[0].tensor.shape(), (Shape{6, 2, 3, 3}));
  EXPECT_EQ(parameters[1].tensor.shape(), (Shape{6}));
  conv.initialize(1);
  for (const float x : values(parameters[0].tensor.array())) {
    EXPECT_LE(std::abs(x), 1 / std::sqrt(18.0f));
  }
  EXPECT_EQ(conv(Tensor(Array::zeros({1, 4, 8, 8}))).shape(), (Shape{1, 6, 4, 4}));
  EXPECT_THROW(Conv2d(3, 4, 3, {.groups = 2}), Error);
}

TEST(Pooling, LayersPoolByTheirWindows) {
  const Tensor x(Array::from(std::vector<float>{1, 2, 3, 4}, {1, 1, 2, 2}));
  EXPECT_EQ(values(MaxPool2d(2)(x).array()), (std::vector<float>{4}));
  EXPECT_EQ(values(AvgPool2d(2)(x).array()), (std::vector<float>{2.5}));
  EXPECT_EQ(GlobalAvgPool2d()(x).shape(), (Shape{1, 1}));
}

TEST(ResNet, TwentyLayersHaveTorchvisionsNamesAndTheKnownCount) {
  const ResNet model;
  std::int64_t count = 0;
  std::vector<std::string> names;
  for (const NamedParameter& parameter : model.parameters()) {
    count += parameter.tensor.count();
    names.push_back(parameter.name);
  }
  EXPECT_EQ(names.front(), "conv1.weight");
  EXPECT_EQ(names.back(), "fc.bias");
  EXPECT_NE(std::find(names.begin(), names.end(), "layer2.0.downsample.1.weight"), names.end());
  // 432 + 32, three stages of convolutions and norms, two projections, the classifier.
  EXPECT_EQ(count, 464 + 14'016 + (51'072 + 576) + (203'520 + 2'176) + 650);
  EXPECT_EQ(model.buffers().size(), 2u * (1 + 18 + 2));
  EXPECT_EQ(model.buffers()[0].name, "bn1.running_mean");
}

TEST(ResNet, HalvesImagesTwiceAndLearnsInEveryParameter) {
  ResNet model({.channels = 1, .classes = 5, .blocks = 1, .width = 4});
  model.initialize(1);
  const Array images = Array::empty({3, 1, 28, 28});
  Init::normal(0, 1).fill(1, "images", 0, images);
  const Tensor logits = model(Tensor(images));
  EXPECT_EQ(logits.shape(), (Shape{3, 5}));
  cross_entropy(logits, Array::from(std::vector<std::int64_t>{0, 1, 2}, {3})).backward();
  for (const NamedParameter& parameter : model.parameters()) {
    EXPECT_TRUE(parameter.tensor.grad().defined()) << parameter.name;
  }
}

}  // namespace
}  // namespace trireme::nn
