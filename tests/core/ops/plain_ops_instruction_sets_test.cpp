// Every instruction set that this machine has gives the same results within rounding, scalar code included.
#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cmath>
#include <functional>
#include <string>

#include "tests/support/op_check.h"
#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/batch_norm.h"
#include "trireme/core/ops/conv2d.h"
#include "trireme/core/ops/dropout.h"
#include "trireme/core/ops/gelu.h"
#include "trireme/core/ops/layer_norm.h"
#include "trireme/core/ops/matmul.h"
#include "trireme/core/ops/reduce.h"
#include "trireme/core/ops/relu.h"
#include "trireme/core/ops/softmax.h"
#include "trireme/core/ops/view.h"

namespace trireme {
namespace {

using test::random_array;

struct Target {
  const char* name;
  std::int64_t bit;
};

void PrintTo(const Target& target, std::ostream* out) { *out << target.name; }

// While it lives, kernels run on one instruction set.
class OnlyTarget {
 public:
  explicit OnlyTarget(std::int64_t target) { hwy::GetChosenTarget().Update(target); }
  ~OnlyTarget() { hwy::GetChosenTarget().Update(hwy::SupportedTargets()); }
  OnlyTarget(const OnlyTarget&) = delete;
  OnlyTarget& operator=(const OnlyTarget&) = delete;
};

struct Op {
  const char* name;
  std::function<Tensor(const Tensor&)> apply;
};

// Each takes [2, 3, 35] in (0.1, 1); 35 leaves a partial vector for every width.
std::vector<Op> ops_to_try() {
  const auto vector = [](const Tensor& like, std::int64_t count, std::uint64_t seed) {
    return Tensor(random_array({count}, seed, 0.5, 1.5).to(like.dtype()));
  };
  return {
      {"unary",
       [](const Tensor& x) { return ops::exp(x) + ops::log(x) * ops::tanh(x) - ops::sigmoid(x) / ops::sqrt(x); }},
      {"silu", [](const Tensor& x) { return ops::silu(x * 9 - 5); }},
      {"power", [](const Tensor& x) { return ops::pow(x, 1.3) + ops::pow(x, -0.5) + ops::clamp(x, 0.3, 0.7); }},
      {"extrema", [](const Tensor& x) { return ops::maximum(x, 0.9 - x) * ops::minimum(x, ops::abs(x - 0.5)); }},
      {"relu", [](const Tensor& x) { return ops::relu(x - 0.5); }},
      {"sums", [](const Tensor& x) { return ops::sum(x, {0}) + ops::mean(x, {1}, true) * ops::max(x, {2}, true); }},
      {"softmax", [](const Tensor& x) { return ops::softmax(x * 8, -1) + ops::log_softmax(x, 1); }},
      {"dropout", [](const Tensor& x) { return ops::dropout(x, 0.4, 5); }},
      {"batch_norm", [&](const Tensor& x) { return ops::batch_norm(x, vector(x, 3, 1), vector(x, 3, 2), {}, {}); }},
      {"conv2d",
       [](const Tensor& x) {
         const Tensor kernel(random_array({2, 1, 3, 3}, 4).to(x.dtype()));
         return ops::conv2d(ops::reshape(x, {6, 1, 5, 7}), kernel, Tensor());
       }},
      {"gelu", [](const Tensor& x) { return ops::gelu(x * 6 - 3); }},
      {"layer_norm", [&](const Tensor& x) { return ops::layer_norm(x, vector(x, 35, 1), vector(x, 35, 2), 1e-5); }},
      {"matmul",
       [](const Tensor& x) {
         return ops::matmul(x, Tensor(random_array({35, 19}, 6).to(x.dtype())));
       }},
  };
}

struct Outcome {
  std::vector<double> result;
  std::vector<double> gradient;
};

Outcome run(const Op& op, DType dtype) {
  Tensor x = Tensor::leaf(random_array({2, 3, 35}, 9, 0.1, 1).to(dtype));
  const Tensor y = op.apply(x);
  if (y.requires_grad()) {
    y.backward(random_array(y.shape(), 10).to(dtype));
  }
  return {y.array().to_vector<double>(), x.grad().defined() ? x.grad().to_vector<double>() : std::vector<double>()};
}

void expect_close(const std::vector<double>& got, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], expected[i], tolerance * std::max(1.0, std::abs(expected[i]))) << "element " << i;
  }
}

class PlainOps : public testing::TestWithParam<Target> {};

TEST_P(PlainOps, AgreeWithTheDefaultOneWithinRounding) {
  if (GetParam().bit != HWY_SCALAR && (hwy::SupportedTargets() & GetParam().bit) == 0) {
    GTEST_SKIP() << "this machine has no " << GetParam().name;
  }
  for (const Op& op : ops_to_try()) {
    SCOPED_TRACE(op.name);
    const Outcome exact = run(op, DType::f64);
    const OnlyTarget only(GetParam().bit);
    const Outcome f64 = run(op, DType::f64);
    const Outcome f32 = run(op, DType::f32);
    expect_close(f64.result, exact.result, 1e-12);
    expect_close(f64.gradient, exact.gradient, 1e-12);
    expect_close(f32.result, exact.result, 2e-5);
    expect_close(f32.gradient, exact.gradient, 2e-5);
  }
}

TEST(PlainOpsInstructionSets, AreReallySwitched) {
  if ((hwy::SupportedTargets() & (HWY_AVX2 | HWY_AVX3)) == 0) {
    GTEST_SKIP() << "this machine has only one instruction set";
  }
  const Array x = random_array({5000}, 1, 0, 1).to(DType::f32);
  const double vectors = ops::sum(x).item();
  const OnlyTarget only(HWY_SCALAR);
  EXPECT_NE(ops::sum(x).item(), vectors) << "sums in another order round differently";
  EXPECT_NEAR(ops::sum(x).item(), vectors, 1e-2);
}

INSTANTIATE_TEST_SUITE_P(InstructionSets, PlainOps,
                         testing::Values(Target{"avx512", HWY_AVX3}, Target{"avx2", HWY_AVX2},
                                         Target{"scalar", HWY_SCALAR}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace trireme
