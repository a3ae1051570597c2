// Mean squared error and binary cross-entropy: closed forms, gradients, weights, logits beyond overflow.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/op_check.h"
#include "trireme/core/ops/bce.h"
#include "trireme/core/ops/mse.h"

namespace trireme {
namespace {

using test::check_op;
using test::random_array;
using Inputs = std::vector<Tensor>;

TEST(MseLoss, GradientMatchesFiniteDifferencesForBothSides) {
  check_op([](const Inputs& in) { return ops::mse_loss(in[0], in[1]); },
           {random_array({3, 5}, 1), random_array({3, 5}, 2)});
}

TEST(MseLoss, IsTheMeanOfSquaresAndWeighsItsTerms) {
  const Tensor loss = ops::mse_loss(Array::full({2, 3}, 5), Array::full({2, 3}, 2));
  EXPECT_EQ(loss.item(), 9);
  EXPECT_EQ(loss.weight(), 6);
  EXPECT_FALSE(loss.weight_depends_on_data());
  EXPECT_THROW(ops::mse_loss(Array::zeros({2}), Array::zeros({2, 1})), Error);
  EXPECT_THROW(ops::mse_loss(Array::zeros({0}), Array::zeros({0})), Error);
}

TEST(BinaryCrossEntropy, GradientMatchesFiniteDifferences) {
  const Array targets = random_array({4, 5}, 2, 0, 1);
  check_op([&](const Inputs& in) { return ops::binary_cross_entropy_with_logits(in[0], targets.to(in[0].dtype())); },
           {random_array({4, 5}, 1, -4, 4)});
}

TEST(BinaryCrossEntropy, MatchesItsDefinition) {
  const Array x = random_array({50}, 1, -5, 5);
  const Array t = random_array({50}, 2, 0, 1);
  double expected = 0;
  for (int i = 0; i < 50; ++i) {
    const double s = 1 / (1 + std::exp(-x.data<double>()[i]));
    expected -= (t.data<double>()[i] * std::log(s) + (1 - t.data<double>()[i]) * std::log(1 - s)) / 50;
  }
  const Tensor loss = ops::binary_cross_entropy_with_logits(x, t);
  EXPECT_NEAR(loss.item(), expected, 1e-13);
  EXPECT_NEAR(ops::binary_cross_entropy_with_logits(x.to(DType::f32), t.to(DType::f32)).item(), expected, 1e-6);
  EXPECT_EQ(loss.weight(), 50);
}

TEST(BinaryCrossEntropy, HugeLogitsGiveFiniteLossAndGradient) {
  Tensor x = Tensor::leaf(Array::from(std::vector<float>{1000, -1000, 1000, -1000}, {4}));
  const Array t = Array::from(std::vector<float>{1, 0, 0, 1}, {4});
  const Tensor loss = ops::binary_cross_entropy_with_logits(x, t);
  EXPECT_EQ(loss.item(), 500);
  loss.backward();
  const std::vector<float> expected = {0, 0, 0.25, -0.25};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(x.grad().to_vector<float>()[i], expected[i], 1e-30);
  }
  EXPECT_THROW(ops::binary_cross_entropy_with_logits(x, Array::zeros({3})), Error);
}

}  // namespace
}  // namespace trireme
