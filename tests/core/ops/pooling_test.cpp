// Pooling: against the definition, gradients, edges, wrong windows.
#include "trireme/core/ops/pooling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/op_check.h"
#include "trireme/core/base/parallel.h"

namespace trireme {
namespace {

using ops::Pool2dOptions;
using test::check_op;
using test::random_array;
using Inputs = std::vector<Tensor>;

struct Case {
  const char* name;
  Shape image;
  Pool2dOptions options;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

// The elements of a window, zeros for padding if asked.
std::vector<double> window(const Array& x, const Pool2dOptions& o, std::int64_t plane, std::int64_t y, std::int64_t z,
                           bool zeros) {
  const std::int64_t stride = o.stride == 0 ? o.kernel : o.stride;
  std::vector<double> out;
  for (std::int64_t i = y * stride - o.padding; i < y * stride - o.padding + o.kernel; ++i) {
    for (std::int64_t j = z * stride - o.padding; j < z * stride - o.padding + o.kernel; ++j) {
      if (i >= 0 && j >= 0 && i < x.size(2) && j < x.size(3)) {
        out.push_back(x.data<double>()[(plane * x.size(2) + i) * x.size(3) + j]);
      } else if (zeros) {
        out.push_back(0);
      }
    }
  }
  return out;
}

class Pooling : public testing::TestWithParam<Case> {};

TEST_P(Pooling, MaximumAndMeanMatchTheDefinition) {
  const Case& c = GetParam();
  const Array x = random_array(c.image, 1);
  const Array most = ops::max_pool2d(x, c.options).array();
  const Array mean = ops::avg_pool2d(x, c.options).array();
  std::int64_t n = 0;
  for (std::int64_t plane = 0; plane < x.size(0) * x.size(1); ++plane) {
    for (std::int64_t y = 0; y < most.size(2); ++y) {
      for (std::int64_t z = 0; z < most.size(3); ++z, ++n) {
        const std::vector<double> inside = window(x, c.options, plane, y, z, false);
        ASSERT_EQ(most.data<double>()[n], *std::max_element(inside.begin(), inside.end()));
        double sum = 0;
        for (const double value : window(x, c.options, plane, y, z, true)) {
          sum += value;
        }
        ASSERT_NEAR(mean.data<double>()[n], sum / static_cast<double>(c.options.kernel * c.options.kernel), 1e-14);
      }
    }
  }
  EXPECT_EQ(n, most.count());
}

TEST_P(Pooling, GradientsMatchFiniteDifferences) {
  const Case& c = GetParam();
  check_op([&](const Inputs& in) { return ops::max_pool2d(in[0], c.options); }, {random_array(c.image, 2)});
  check_op([&](const Inputs& in) { return ops::avg_pool2d(in[0], c.options); }, {random_array(c.image, 2)});
}

INSTANTIATE_TEST_SUITE_P(Cases, Pooling,
                         testing::Values(Case{"halving", {2, 3, 4, 6}, {}},
                                         Case{"overlapping", {1, 2, 5, 5}, {.kernel = 3, .stride = 1}},
                                         Case{"padded", {1, 2, 5, 6}, {.kernel = 3, .stride = 2, .padding = 1}},
                                         Case{"uneven", {1, 1, 5, 7}, {.kernel = 2}},
                                         Case{"whole", {2, 1, 3, 3}, {.kernel = 3}}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(GlobalAvgPool2d, IsTheMeanOfEachPlane) {
  check_op([](const Inputs& in) { return ops::global_avg_pool2d(in[0]); }, {random_array({2, 3, 4, 5}, 1)});
  EXPECT_EQ(to_string(ops::global_avg_pool2d(Array::zeros({2, 3, 4, 5})).shape()), "[2, 3]");
}

TEST(MaxPool2d, TheFirstOfEqualElementsGetsTheGradientAndNanWins) {
  Tensor x = Tensor::leaf(Array::full({1, 1, 2, 2}, 3));
  ops::max_pool2d(x).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{1, 0, 0, 0}));
  const Array y = Array::from(std::vector<float>{9, std::nanf(""), 1, 2}, {1, 1, 2, 2});
  EXPECT_TRUE(std::isnan(ops::max_pool2d(y).item()));
}

TEST(MaxPool2d, WrongWindowsAreErrorsAndEmptyBatchesAreNot) {
  const Tensor x(Array::zeros({1, 1, 4, 4}));
  EXPECT_THROW(ops::max_pool2d(x, {.kernel = 5}), Error);
  EXPECT_THROW(ops::max_pool2d(x, {.kernel = 2, .padding = 2}), Error);
  EXPECT_THROW(ops::avg_pool2d(x, {.kernel = 0}), Error);
  EXPECT_THROW(ops::avg_pool2d(Array::zeros({4, 4})), Error);
  EXPECT_EQ(to_string(ops::max_pool2d(Array::zeros({0, 2, 4, 4})).shape()), "[0, 2, 2, 2]");
}

}  // namespace
}  // namespace trireme
