// The gradient check finds right gradients right and wrong ones wrong, and says where.
#include "trireme/core/autograd/grad_check.h"

#include <gtest/gtest.h>

#include <limits>

#include "trireme/core/ops/arithmetic.h"

namespace trireme {
namespace {

const Array kX = Array::from(std::vector<double>{0.3, -1.2, 2.5}, {3});

// x * x whose gradient is wrong by `error` at element 1.
Tensor square_with_error(const Tensor& x, double error) {
  return record("square", (x * x).array(), {&x}, [error, x = x.array()](const Array& gradient, Gradients& gradients) {
    const Array out = (Tensor(gradient) * Tensor(x) * 2).array();
    out.data<double>()[1] += error;
    gradients.add(0, out);
  });
}

TEST(GradCheck, AcceptsARightGradient) {
  const GradCheckResult result =
      check_gradients([](std::span<const Tensor> in) { return ops::exp(in[0]) * in[1] / in[0]; },
                      {kX, Array::full({1}, 2, DType::f32)});
  EXPECT_TRUE(result.ok) << result.message;
  EXPECT_TRUE(result.message.empty());
  EXPECT_LT(result.largest_error, 1e-5);
}

TEST(GradCheck, NamesInputAndElementOfAWrongGradient) {
  const GradCheckResult result =
      check_gradients([](std::span<const Tensor> in) { return in[0] + square_with_error(in[1], 0.01); }, {kX, kX});
  EXPECT_FALSE(result.ok);
  EXPECT_EQ(result.input, 1u);
  EXPECT_EQ(result.element, 1);
  EXPECT_NEAR(result.largest_error, 0.01, 1e-5);
  EXPECT_NE(result.message.find("input 1"), std::string::npos) << result.message;
}

TEST(GradCheck, ANanGradientIsWrong) {
  const GradCheckResult result = check_gradients(
      [](std::span<const Tensor> in) { return square_with_error(in[0], std::numeric_limits<double>::quiet_NaN()); },
      {kX});
  EXPECT_FALSE(result.ok);
}

TEST(GradCheck, ConstantInputsAreNotDifferentiated) {
  const GradCheckResult result =
      check_gradients([](std::span<const Tensor> in) { return in[0] * square_with_error(in[1], 1); }, {kX, kX},
                      {.constant = {false, true}});
  EXPECT_TRUE(result.ok) << result.message;
}

TEST(GradCheck, GivenArraysStayAsTheyWere) {
  const std::vector<double> before = kX.to_vector<double>();
  check_gradients([](std::span<const Tensor> in) { return in[0] * in[0]; }, {kX});
  EXPECT_EQ(kX.to_vector<double>(), before);
}

}  // namespace
}  // namespace trireme
