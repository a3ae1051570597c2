#include "trireme/core/ops/gelu.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/core/ops/same_bits.h"

namespace trireme::ops {
namespace {

using test::random_array;

double closed_form(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }

TEST(Gelu, GradientsAndStridesAreRight) {
  test::check_op([](const auto& in) { return gelu(in[0]); }, {random_array({3, 33}, 1, -4, 4)});
}

TEST(Gelu, FollowsTheClosedFormToAFewUlpAtEverySize) {
  for (int i = -2000; i <= 2000; ++i) {
    const double x = i * 0.005;
    const auto narrow = static_cast<float>(x);
    const double expected = closed_form(static_cast<double>(narrow));
    EXPECT_NEAR(gelu(Array::full({1}, narrow)).item(), expected, 4e-7 * std::abs(x) + 1e-30) << x;
    EXPECT_NEAR(gelu(Array::full({1}, x, DType::f64)).item(), closed_form(x), 1e-15 * std::abs(x) + 1e-30) << x;
  }
}

TEST(Gelu, LimitsAreExactAndNanStays) {
  EXPECT_EQ(gelu(Array::full({1}, 1e4)).item(), 1e4);
  EXPECT_NEAR(gelu(Array::full({1}, -1e4)).item(), 0, 1e-30);
  EXPECT_TRUE(std::isnan(gelu(Array::full({1}, std::numeric_limits<double>::quiet_NaN())).item()));
}

TEST(Gelu, BitsDependNeitherOnPositionNorOnLength) {
  const Array x = random_array({100}, 2, -3, 3).to(DType::f32);
  const Array whole = gelu(x).array();
  for (std::int64_t start = 0; start < 40; ++start) {
    for (const std::int64_t length : {1, 7, 16, 17, 60}) {
      const Array part = gelu(x.narrow(0, start, length)).array();
      test::expect_same_bits(part, whole.narrow(0, start, length), "slice");
    }
  }
}

TEST(Gelu, BitsDoNotDependOnThreads) {
  test::expect_same_bits_for_any_threads([](const auto& in) { return gelu(in[0]); }, {random_array({7, 9001}, 3)});
}

TEST(Gelu, AcceptsAnEmptyArrayAndRefusesIntegers) {
  EXPECT_EQ(gelu(Array::empty({0, 3})).count(), 0);
  EXPECT_NE(test::error_of([] { gelu(Array::zeros({2}, DType::i64)); }).find("gelu: dtype i64"), std::string::npos);
}

// y also consumes x directly, so x's gradient arrives from two ops, one of them in a shared array.
TEST(Gelu, TheIncomingGradientOfAnotherOpIsNotOverwritten) {
  Tensor x = Tensor::leaf(random_array({5}, 4).to(DType::f32));
  Tensor y = gelu(x);
  const Array start = Array::full({5}, 2.0);
  y.backward(start);
  EXPECT_EQ(start.to_vector<float>(), std::vector<float>(5, 2.0f));
}

}  // namespace
}  // namespace trireme::ops
