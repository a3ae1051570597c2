// ReLU: values, gradient, NaN.
#include "trireme/core/ops/relu.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/op_check.h"

namespace trireme {
namespace {

TEST(Relu, GradientMatchesFiniteDifferences) {
  test::check_op([](const std::vector<Tensor>& in) { return ops::relu(in[0]); }, {test::random_array({7, 9}, 1)});
}

TEST(Relu, NegativeNumbersBecomeZeroAndNanStays) {
  const Tensor y = ops::relu(Array::from(std::vector<float>{-1, 0, 2, -INFINITY, INFINITY, NAN}, {6}));
  const std::vector<float> values = y.array().to_vector<float>();
  EXPECT_EQ(std::vector<float>(values.begin(), values.begin() + 5), (std::vector<float>{0, 0, 2, 0, INFINITY}));
  EXPECT_TRUE(std::isnan(values[5]));
}

TEST(Relu, GradientAtZeroIsZero) {
  Tensor x = Tensor::leaf(Array::zeros({1}));
  ops::relu(x).backward();
  EXPECT_EQ(x.grad().item(), 0);
}

TEST(Relu, EmptyInputGivesEmptyResult) { EXPECT_EQ(ops::relu(Array::zeros({3, 0})).count(), 0); }

}  // namespace
}  // namespace trireme
