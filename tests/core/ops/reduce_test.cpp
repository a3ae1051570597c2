// Sums, means and maxima: closed forms, numerical gradients, accuracy, bits for any number of threads.
#include "trireme/core/ops/reduce.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_check.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/reduction.h"

namespace trireme {
namespace {

using test::check_op;
using test::random_array;
using Inputs = std::vector<Tensor>;

TEST(Reduce, SumGradientMatchesFiniteDifferencesForEveryChoiceOfDims) {
  const Array x = random_array({2, 3, 4, 5}, 1);
  check_op([](const Inputs& in) { return ops::sum(in[0]); }, {x});
  check_op([](const Inputs& in) { return ops::sum(in[0], {-1}); }, {x});
  check_op([](const Inputs& in) { return ops::sum(in[0], {0}, true); }, {x});
  check_op([](const Inputs& in) { return ops::sum(in[0], {1, 2}); }, {x});
  check_op([](const Inputs& in) { return ops::sum(in[0], {0, 2}, true); }, {x});
  check_op([](const Inputs& in) { return ops::sum(in[0], {1, 3}); }, {x});
}

TEST(Reduce, MeanGradientMatchesFiniteDifferences) {
  const Array x = random_array({3, 4, 5}, 2);
  check_op([](const Inputs& in) { return ops::mean(in[0]); }, {x});
  check_op([](const Inputs& in) { return ops::mean(in[0], {0, 2}); }, {x});
  check_op([](const Inputs& in) { return ops::mean(in[0], {1}, true); }, {x});
}

TEST(Reduce, MaxGradientMatchesFiniteDifferences) {
  const Array x = random_array({3, 4, 5}, 3);
  check_op([](const Inputs& in) { return ops::max(in[0]); }, {x});
  check_op([](const Inputs& in) { return ops::max(in[0], {1}); }, {x});
  check_op([](const Inputs& in) { return ops::max(in[0], {0, 2}, true); }, {x});
}

TEST(Reduce, EqualMaximaShareTheGradient) {
  Tensor x = Tensor::leaf(Array::from(std::vector<float>{1, 4, 4, 2}, {4}));
  ops::max(x).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{0, 0.5, 0.5, 0}));
}

double nested_sum(const Array& x, std::int64_t a, std::int64_t c) {  // over dims 1 and 3 of [.., .., .., ..]
  double total = 0;
  for (std::int64_t b = 0; b < x.size(1); ++b) {
    for (std::int64_t d = 0; d < x.size(3); ++d) {
      total += x.select(0, a).select(0, b).select(0, c).select(0, d).item();
    }
  }
  return total;
}

TEST(Reduce, SumsOverSeparatedDimsMatchNestedLoops) {
  const Array x = random_array({3, 5, 4, 7}, 4).transpose(1, 2);
  const Array y = ops::sum(x, {1, 3}).array();
  ASSERT_EQ(to_string(y.shape()), "[3, 5]");
  for (std::int64_t a = 0; a < 3; ++a) {
    for (std::int64_t c = 0; c < 5; ++c) {
      EXPECT_NEAR(y.select(0, a).select(0, c).item(), nested_sum(x, a, c), 1e-13);
    }
  }
}

class ReduceLong : public testing::TestWithParam<Shape> {};

TEST_P(ReduceLong, BothOrdersOfDimsAreAccurateAndThreadsDoNotChangeBits) {
  const Array exact = random_array(GetParam(), 5, 0, 1);
  const Array x = exact.to(DType::f32);
  for (const int dim : {0, 1}) {
    const Array y = ops::sum(x, {dim}).array();
    const std::vector<double> expected = ops::sum(exact, {dim}).array().to_vector<double>();
    const std::vector<double> got = y.to_vector<double>();
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_NEAR(got[i], expected[i], 1e-6 * std::abs(expected[i]) + 1e-6) << "dim " << dim << ", element " << i;
    }
    set_num_threads(4);
    const std::vector<float> threaded = ops::sum(x, {dim}).array().to_vector<float>();
    set_num_threads(1);
    EXPECT_EQ(threaded, y.to_vector<float>());
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, ReduceLong,
                         testing::Values(Shape{1, 200000}, Shape{200000, 1}, Shape{3000, 70}, Shape{70, 3000},
                                         Shape{17, 1025}, Shape{129, 64}));

TEST(Reduce, AColumnHasTheSameBitsAloneAndAmongOthers) {
  const Array x = random_array({300, 77}, 6).to(DType::f32);
  const Array whole = ops::sum(x, {0}).array();
  for (std::int64_t first = 0; first < 77; first += 5) {
    for (const std::int64_t width : {2, 3, 18}) {
      if (first + width <= 77) {
        EXPECT_EQ(ops::sum(x.narrow(1, first, width), {0}).array().to_vector<float>(),
                  whole.narrow(0, first, width).to_vector<float>());
      }
    }
  }
}

TEST(Reduce, EmptySumsAreZeroAndEmptyMaximaAndMeansAreErrors) {
  EXPECT_EQ(ops::sum(Array::zeros({0, 3})).item(), 0);
  EXPECT_EQ(ops::sum(Array::zeros({2, 0}), {1}).array().to_vector<float>(), (std::vector<float>{0, 0}));
  EXPECT_EQ(to_string(ops::sum(Array::zeros({0, 3}), {1}).shape()), "[0]");
  EXPECT_THROW(ops::max(Array::zeros({2, 0}), {1}), Error);
  EXPECT_THROW(ops::mean(Array::zeros({0})), Error);
}

TEST(Reduce, ScalarsAndDimsOfSizeOne) {
  EXPECT_EQ(ops::sum(Array::full({}, 3)).item(), 3);
  EXPECT_EQ(to_string(ops::sum(Array::full({1, 4}, 3), {0}).shape()), "[4]");
  Tensor x = Tensor::leaf(Array::full({1, 2}, 3));
  Tensor y = ops::sum(x, {0});
  EXPECT_NE(y.array().storage().get(), x.array().storage().get()) << "a sum must not alias its input";
  y.backward(Array::full({2}, 2));
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{2, 2}));
}

TEST(Reduce, NanWinsAMaximumWhereverItStands) {
  for (const std::int64_t at : {0, 5, 16, 63, 64, 99}) {
    Array x = random_array({100}, 7);
    x.data<double>()[at] = std::numeric_limits<double>::quiet_NaN();
    EXPECT_TRUE(std::isnan(ops::max(x).item())) << at;
    EXPECT_TRUE(std::isnan(ops::max(x.reshape({100, 1}).broadcast_to({100, 3}), {0}).array().to_vector<double>()[1]))
        << at;
  }
}

TEST(Reduce, ArgmaxIsTheFirstLargestAlongAnyDim) {
  const Array x = Array::from(std::vector<float>{1, 5, 5, 7, 0, 7}, {2, 3});
  EXPECT_EQ(ops::argmax(x, 1).to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 0}));
  EXPECT_EQ(ops::argmax(x, 0).to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 0, 1}));
  EXPECT_EQ(to_string(ops::argmax(random_array({2, 3, 4}, 1), 1).shape()), "[2, 4]");
  EXPECT_THROW(ops::argmax(Array::zeros({2, 0}), 1), Error);
}

TEST(Reduce, WrongDimsAreErrors) {
  EXPECT_THROW(ops::sum(Array::zeros({2, 3}), {2}), Error);
  EXPECT_THROW(ops::sum(Array::zeros({2, 3}), {0, -2}), Error);
}

}  // namespace
}  // namespace trireme
