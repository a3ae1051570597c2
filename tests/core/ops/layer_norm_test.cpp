#include "trireme/core/ops/layer_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/core/ops/same_bits.h"

namespace trireme::ops {
namespace {

using test::random_array;

Tensor op(const std::vector<Tensor>& in) { return layer_norm(in[0], in[1], in[2], 1e-5); }

std::vector<Array> inputs(std::int64_t rows, std::int64_t columns) {
  return {random_array({rows, columns}, 1, -2, 3), random_array({columns}, 2, 0.5, 1.5), random_array({columns}, 3)};
}

TEST(LayerNorm, GradientsAndStridesAreRight) {
  for (const std::int64_t columns : {1, 5, 16, 19}) {
    test::check_op(op, inputs(3, columns), {.gradient_tolerance = 2e-5, .f32_tolerance = 3e-5});
  }
}

TEST(LayerNorm, FollowsTheDefinition) {
  const std::vector<Array> in = inputs(4, 66);
  const std::vector<double> x = in[0].to_vector<double>();
  const std::vector<double> w = in[1].to_vector<double>();
  const std::vector<double> b = in[2].to_vector<double>();
  const std::vector<float> y =
      op({in[0].to(DType::f32), in[1].to(DType::f32), in[2].to(DType::f32)}).array().to_vector<float>();
  for (std::size_t row = 0; row < 4; ++row) {
    double mean = 0;
    double variance = 0;
    for (std::size_t j = 0; j < 66; ++j) {
      mean += x[row * 66 + j] / 66;
    }
    for (std::size_t j = 0; j < 66; ++j) {
      variance += (x[row * 66 + j] - mean) * (x[row * 66 + j] - mean) / 66;
    }
    for (std::size_t j = 0; j < 66; ++j) {
      EXPECT_NEAR(y[row * 66 + j], (x[row * 66 + j] - mean) / std::sqrt(variance + 1e-5) * w[j] + b[j], 2e-6);
    }
  }
}

TEST(LayerNorm, ALargeCommonOffsetDoesNotDestroyTheVariance) {
  Array x = Array::empty({1, 64});
  for (int i = 0; i < 64; ++i) {
    x.data<float>()[i] = 10000.0f + static_cast<float>(i % 2);
  }
  const Array y = layer_norm(x, Array::full({64}, 1), Array::zeros({64}), 0).array();
  EXPECT_NEAR(y.data<float>()[0], -1, 1e-3);
  EXPECT_NEAR(y.data<float>()[1], 1, 1e-3);
}

TEST(LayerNorm, BitsDoNotDependOnThreads) { test::expect_same_bits_for_any_threads(op, inputs(333, 66)); }

TEST(LayerNorm, ARowHasTheSameBitsInAnyBatch) {
  const std::vector<Array> in = inputs(9, 66);
  const Array w = in[1].to(DType::f32);
  const Array b = in[2].to(DType::f32);
  const Array x = in[0].to(DType::f32);
  const Array whole = layer_norm(x, w, b, 1e-5).array();
  for (std::int64_t row = 0; row < 9; ++row) {
    test::expect_same_bits(layer_norm(x.narrow(0, row, 1), w, b, 1e-5).array(), whole.narrow(0, row, 1), "row");
  }
}

TEST(LayerNorm, AnEmptyBatchGivesZeroGradients) {
  const std::vector<Array> out =
      test::run_op(op, {Array::zeros({0, 4}, DType::f64), random_array({4}, 1), random_array({4}, 2)});
  EXPECT_EQ(out[2].to_vector<float>(), std::vector<float>(4, 0.0f));
}

TEST(LayerNorm, AFrozenInputStillGivesTheParametersTheirGradients) {
  Tensor w = Tensor::leaf(Array::full({4}, 1));
  Tensor b = Tensor::leaf(Array::zeros({4}));
  layer_norm(random_array({2, 4}, 1).to(DType::f32), w, b, 1e-5).backward(Array::full({2, 4}, 1));
  EXPECT_EQ(b.grad().to_vector<float>(), std::vector<float>(4, 2.0f));
  EXPECT_TRUE(w.grad().defined());
}

TEST(LayerNorm, GradientsAccumulateOverPasses) {
  Tensor x = Tensor::leaf(random_array({2, 5}, 1).to(DType::f32));
  Tensor w = Tensor::leaf(Array::full({5}, 1));
  Tensor b = Tensor::leaf(Array::zeros({5}));
  layer_norm(x, w, b, 1e-5).backward(Array::full({2, 5}, 1));
  layer_norm(x, w, b, 1e-5).backward(Array::full({2, 5}, 1));
  EXPECT_EQ(b.grad().to_vector<float>(), std::vector<float>(5, 4.0f));
}

TEST(LayerNorm, WrongShapesAreNamed) {
  const std::string message = test::error_of([] {
    layer_norm(Array::zeros({2, 4}), Array::zeros({3}), Array::zeros({4}), 1e-5);
  });
  EXPECT_NE(message.find("weight f32[3]"), std::string::npos) << message;
}

}  // namespace
}  // namespace trireme::ops
