// Batch normalization: definition, gradients in both modes, the statistics handed out, running ones untouched.
#include "trireme/core/ops/batch_norm.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/op_check.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/reduce.h"

namespace trireme {
namespace {

using ops::BatchNormOptions;
using ops::BatchStatistics;
using test::check_op;
using test::random_array;
using Inputs = std::vector<Tensor>;

class BatchNorm : public testing::TestWithParam<Shape> {
 protected:
  std::int64_t channels() const { return GetParam()[1]; }
  Array vector(std::uint64_t seed, double low = -1, double high = 1) const {
    return random_array({channels()}, seed, low, high);
  }
};

TEST_P(BatchNorm, TrainingGradientMatchesFiniteDifferences) {
  check_op([](const Inputs& in) { return ops::batch_norm(in[0], in[1], in[2], {}, {}); },
           {random_array(GetParam(), 1), vector(2), vector(3)}, {.f32_tolerance = 5e-5});
}

TEST_P(BatchNorm, EvaluationGradientMatchesFiniteDifferences) {
  const Array mean = vector(4);
  const Array variance = vector(5, 0.5, 2);
  check_op(
      [&](const Inputs& in) {
        const DType dtype = in[0].dtype();
        return ops::batch_norm(in[0], in[1], in[2], mean.to(dtype), variance.to(dtype), {.training = false});
      },
      {random_array(GetParam(), 1), vector(2), vector(3)});
}

TEST_P(BatchNorm, ResultHasMeanBiasAndDeviationWeight) {
  const Array x = random_array(GetParam(), 1, 3, 7);
  const Array weight = vector(2, 0.5, 2);
  const Array bias = vector(3);
  const Array y = ops::batch_norm(x, weight, bias, {}, {}, {.eps = 0}).array();
  for (std::int64_t c = 0; c < channels(); ++c) {
    const std::vector<double> values = y.select(1, c).to_vector<double>();
    double mean = 0;
    double square = 0;
    for (const double value : values) {
      mean += value / static_cast<double>(values.size());
    }
    for (const double value : values) {
      square += (value - mean) * (value - mean) / static_cast<double>(values.size());
    }
    EXPECT_NEAR(mean, bias.data<double>()[c], 1e-12);
    EXPECT_NEAR(std::sqrt(square), weight.data<double>()[c], 1e-12);
  }
}

TEST_P(BatchNorm, HandsOutMeanAndUnbiasedVarianceOfTheBatch) {
  const Array x = random_array(GetParam(), 1, 3, 7);
  BatchStatistics statistics;
  const Array running = Array::full({channels()}, 42, DType::f64);
  ops::batch_norm(x, vector(2), vector(3), running, running, {}, &statistics);
  EXPECT_EQ(running.to_vector<double>(), std::vector<double>(static_cast<std::size_t>(channels()), 42));
  for (std::int64_t c = 0; c < channels(); ++c) {
    const std::vector<double> values = x.select(1, c).to_vector<double>();
    double mean = 0;
    double square = 0;
    for (const double value : values) {
      mean += value / static_cast<double>(values.size());
    }
    for (const double value : values) {
      square += (value - mean) * (value - mean) / static_cast<double>(values.size() - 1);
    }
    EXPECT_NEAR(statistics.mean.data<double>()[c], mean, 1e-12);
    EXPECT_NEAR(statistics.variance.data<double>()[c], square, 1e-12);
  }
}

TEST_P(BatchNorm, ThreadsDoNotChangeBits) {
  const Array x = random_array(GetParam(), 1).to(DType::f32);
  const Array weight = vector(2).to(DType::f32);
  const std::vector<float> alone = ops::batch_norm(x, weight, weight, {}, {}).array().to_vector<float>();
  set_num_threads(3);
  EXPECT_EQ(ops::batch_norm(x, weight, weight, {}, {}).array().to_vector<float>(), alone);
  set_num_threads(1);
}

INSTANTIATE_TEST_SUITE_P(Shapes, BatchNorm,
                         testing::Values(Shape{6, 5}, Shape{3, 2, 4, 4}, Shape{2, 3, 17}, Shape{1, 2, 3, 3}));

TEST(BatchNormAccuracy, ALargeMeanDoesNotSpoilTheVariance) {
  const Array x = random_array({64, 1, 16, 16}, 1, 999, 1001);
  BatchStatistics statistics;
  const Array one = Array::full({1}, 1);
  ops::batch_norm(x.to(DType::f32), one, one, {}, {}, {}, &statistics);
  EXPECT_NEAR(statistics.variance.item(), 1.0 / 3, 0.01);
}

TEST(BatchNormErrors, NameWhatDoesNotFit) {
  const Array two = Array::full({2}, 1);
  EXPECT_THROW(ops::batch_norm(Array::zeros({1, 2}), two, two, {}, {}), Error);
  EXPECT_THROW(ops::batch_norm(Array::zeros({4}), two, two, {}, {}), Error);
  EXPECT_THROW(ops::batch_norm(Array::zeros({4, 3}), two, two, {}, {}), Error);
  EXPECT_THROW(ops::batch_norm(Array::zeros({4, 2}), two, two, {}, {}, {.training = false}), Error);
}

}  // namespace
}  // namespace trireme
