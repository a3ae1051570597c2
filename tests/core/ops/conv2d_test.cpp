// Convolution: against the definition (six nested loops), numerical gradients, threads, wrong shapes.
#include "trireme/core/ops/conv2d.h"

#include <gtest/gtest.h>

#include "tests/support/op_check.h"
#include "trireme/core/base/parallel.h"

namespace trireme {
namespace {

using ops::Conv2dOptions;
using test::check_op;
using test::random_array;
using Inputs = std::vector<Tensor>;

double at(const Array& x, std::int64_t n, std::int64_t c, std::int64_t h, std::int64_t w) {
  const bool inside = h >= 0 && w >= 0 && h < x.size(2) && w < x.size(3);
  return inside ? x.data<double>()[((n * x.size(1) + c) * x.size(2) + h) * x.size(3) + w] : 0;
}

double oracle(const Array& x, const Array& k, const Conv2dOptions& o, std::int64_t n, std::int64_t out, std::int64_t y,
              std::int64_t z) {
  const std::int64_t group = out / (k.size(0) / o.groups);
  double sum = 0;
  for (std::int64_t c = 0; c < k.size(1); ++c) {
    for (std::int64_t i = 0; i < k.size(2); ++i) {
      for (std::int64_t j = 0; j < k.size(3); ++j) {
        sum += at(k, out, c, i, j) * at(x, n, group * k.size(1) + c, y * o.stride + i * o.dilation - o.padding,
                                        z * o.stride + j * o.dilation - o.padding);
      }
    }
  }
  return sum;
}

struct Case {
  const char* name;
  Shape image;
  Shape kernel;
  Conv2dOptions options;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Conv2d : public testing::TestWithParam<Case> {};

TEST_P(Conv2d, MatchesTheDefinition) {
  const Case& c = GetParam();
  const Array x = random_array(c.image, 1);
  const Array k = random_array(c.kernel, 2);
  const Array b = random_array({c.kernel[0]}, 3);
  const Array y = ops::conv2d(x, k, b, c.options).array();
  for (std::int64_t n = 0; n < y.size(0); ++n) {
    for (std::int64_t o = 0; o < y.size(1); ++o) {
      for (std::int64_t i = 0; i < y.size(2); ++i) {
        for (std::int64_t j = 0; j < y.size(3); ++j) {
          ASSERT_NEAR(at(y, n, o, i, j), oracle(x, k, c.options, n, o, i, j) + b.data<double>()[o], 1e-12);
        }
      }
    }
  }
}

TEST_P(Conv2d, GradientMatchesFiniteDifferences) {
  const Case& c = GetParam();
  check_op([&](const Inputs& in) { return ops::conv2d(in[0], in[1], in[2], c.options); },
           {random_array(c.image, 1), random_array(c.kernel, 2), random_array({c.kernel[0]}, 3)});
  check_op([&](const Inputs& in) { return ops::conv2d(in[0], in[1], Tensor(), c.options); },
           {random_array(c.image, 1), random_array(c.kernel, 2)});
}

INSTANTIATE_TEST_SUITE_P(
    Cases, Conv2d,
    testing::Values(Case{"plain", {2, 3, 5, 6}, {4, 3, 3, 2}, {}},
                    Case{"padded", {1, 2, 4, 4}, {3, 2, 3, 3}, {.padding = 1}},
                    Case{"strided", {2, 2, 7, 6}, {2, 2, 3, 3}, {.stride = 2, .padding = 1}},
                    Case{"dilated", {1, 2, 7, 7}, {2, 2, 3, 3}, {.padding = 2, .dilation = 2}},
                    Case{"grouped", {2, 4, 4, 4}, {6, 2, 3, 3}, {.padding = 1, .groups = 2}},
                    Case{"depthwise", {1, 3, 5, 5}, {3, 1, 3, 3}, {.stride = 2, .groups = 3}},
                    Case{"pointwise", {2, 3, 4, 4}, {5, 3, 1, 1}, {}},
                    Case{"strided_pointwise", {2, 3, 5, 5}, {4, 3, 1, 1}, {.stride = 2}},
                    Case{"wide_padding", {1, 1, 2, 3}, {1, 1, 2, 2}, {.stride = 3, .padding = 3}},
                    Case{"kernel_wider_than_image", {1, 2, 3, 1}, {2, 2, 5, 5}, {.padding = 2}},
                    Case{"same_size_dilated", {1, 1, 5, 4}, {1, 1, 3, 3}, {.padding = 3, .dilation = 3}},
                    Case{"same_width_other_height", {2, 1, 6, 5}, {2, 1, 1, 3}, {.padding = 1}},
                    Case{"many_images", {11, 1, 3, 3}, {2, 1, 2, 2}, {}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Conv2dThreads, DoNotChangeBits) {
  const auto run = [] {
    Tensor x = Tensor::leaf(random_array({13, 3, 9, 9}, 1).to(DType::f32));
    Tensor k = Tensor::leaf(random_array({5, 3, 3, 3}, 2).to(DType::f32));
    const Tensor y = ops::conv2d(x, k, Tensor(), {.padding = 1});
    y.backward(random_array(y.shape(), 3).to(DType::f32));
    std::vector<float> all = y.array().to_vector<float>();
    for (const Array& gradient : {x.grad(), k.grad()}) {
      const std::vector<float> more = gradient.to_vector<float>();
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  };
  const std::vector<float> alone = run();
  set_num_threads(3);
  EXPECT_EQ(run(), alone);
  set_num_threads(1);
}

TEST(Conv2dImages, HaveTheSameBitsAloneAndInABatch) {
  const Array x = random_array({4, 3, 8, 8}, 1).to(DType::f32);
  const Array k = random_array({5, 3, 3, 3}, 2).to(DType::f32);
  const Array all = ops::conv2d(x, k, Tensor()).array();
  EXPECT_EQ(ops::conv2d(x.narrow(0, 2, 1), k, Tensor()).array().to_vector<float>(),
            all.narrow(0, 2, 1).to_vector<float>());
}

TEST(Conv2dWeight, UsedTwiceGetsBothGradients) {
  const Array x = random_array({2, 2, 4, 4}, 1);
  check_op(
      [](const Inputs& in) {
        return ops::conv2d(ops::conv2d(in[0], in[1], Tensor(), {.padding = 1}), in[1], Tensor());
      },
      {x, random_array({2, 2, 3, 3}, 2)});
}

TEST(Conv2dEmpty, BatchGivesEmptyResultAndZeroWeightGradient) {
  Tensor k = Tensor::leaf(Array::full({2, 1, 2, 2}, 1));
  const Tensor y = ops::conv2d(Array::zeros({0, 1, 4, 4}), k, Tensor());
  EXPECT_EQ(to_string(y.shape()), "[0, 2, 3, 3]");
  y.backward(Array::zeros(y.shape()));
  EXPECT_EQ(k.grad().to_vector<float>(), std::vector<float>(8, 0));
}

TEST(Conv2dErrors, NameWhatDoesNotFit) {
  const Tensor x(Array::zeros({1, 3, 4, 4}));
  EXPECT_THROW(ops::conv2d(x, Array::zeros({2, 2, 3, 3}), Tensor()), Error);
  EXPECT_THROW(ops::conv2d(x, Array::zeros({2, 3, 5, 5}), Tensor()), Error);
  EXPECT_THROW(ops::conv2d(x, Array::zeros({2, 3, 3, 3}), Array::zeros({3})), Error);
  EXPECT_THROW(ops::conv2d(x, Array::zeros({2, 3, 3, 3}), Tensor(), {.stride = 0}), Error);
  EXPECT_THROW(ops::conv2d(Array::zeros({3, 4, 4}), Array::zeros({2, 3, 3, 3}), Tensor()), Error);
  EXPECT_THROW(ops::conv2d(x, Array::zeros({2, 3, 3, 3}, DType::f64), Tensor()), Error);
}

}  // namespace
}  // namespace trireme
