// Softmax and log-softmax: definition, gradients, large inputs, any dim.
#include "trireme/core/ops/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_check.h"
#include "trireme/core/base/parallel.h"

namespace trireme {
namespace {

using test::check_op;
using test::random_array;
using Inputs = std::vector<Tensor>;

TEST(Softmax, GradientMatchesFiniteDifferencesAlongEveryDim) {
  for (const int dim : {0, 1, 2, -1}) {
    check_op([dim](const Inputs& in) { return ops::softmax(in[0], dim); }, {random_array({3, 4, 5}, 1, -2, 2)});
    check_op([dim](const Inputs& in) { return ops::log_softmax(in[0], dim); }, {random_array({3, 4, 5}, 2, -2, 2)});
  }
}

TEST(Softmax, MatchesItsDefinition) {
  const Array x = random_array({2, 37}, 3, -5, 5);
  const std::vector<double> y = ops::softmax(x, 1).array().to_vector<double>();
  const std::vector<double> log_y = ops::log_softmax(x, 1).array().to_vector<double>();
  for (std::size_t row = 0; row < 2; ++row) {
    double sum = 0;
    for (std::size_t i = 0; i < 37; ++i) {
      sum += std::exp(x.data<double>()[row * 37 + i]);
    }
    for (std::size_t i = row * 37; i < row * 37 + 37; ++i) {
      EXPECT_NEAR(y[i], std::exp(x.data<double>()[i]) / sum, 1e-15);
      EXPECT_NEAR(log_y[i], x.data<double>()[i] - std::log(sum), 1e-13);
    }
  }
}

TEST(Softmax, LargeLogitsNeitherOverflowNorVanish) {
  const Array x = Array::from(std::vector<float>{1e4F, 1e4F, -1e4F}, {3});
  EXPECT_EQ(ops::softmax(x, 0).array().to_vector<float>(), (std::vector<float>{0.5, 0.5, 0}));
  EXPECT_NEAR(ops::log_softmax(x, 0).array().to_vector<float>()[2], -2e4, 1);
}

TEST(Softmax, AMaskedPositionIsExactlyZero) {
  const float masked = -std::numeric_limits<float>::infinity();
  const Array x = Array::from(std::vector<float>{1, masked, 1, masked}, {4});
  EXPECT_EQ(ops::softmax(x, 0).array().to_vector<float>(), (std::vector<float>{0.5, 0, 0.5, 0}));
}

TEST(Softmax, ThreadsDoNotChangeBits) {
  const Array x = random_array({500, 70}, 4, -3, 3).to(DType::f32);
  const std::vector<float> alone = ops::softmax(x, 1).array().to_vector<float>();
  set_num_threads(3);
  EXPECT_EQ(ops::softmax(x, 1).array().to_vector<float>(), alone);
  set_num_threads(1);
}

TEST(Softmax, EmptyInputGivesEmptyResult) {
  EXPECT_EQ(to_string(ops::softmax(Array::zeros({0, 3}), 1).shape()), "[0, 3]");
  EXPECT_EQ(to_string(ops::softmax(Array::zeros({3, 0}), 1).shape()), "[3, 0]");
}

}  // namespace
}  // namespace trireme
