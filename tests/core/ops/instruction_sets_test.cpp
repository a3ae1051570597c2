// Every kernel on every instruction set that this processor has, not only on its best.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "hwy/highway.h"
#include "tests/core/ops/same_bits.h"
#include "trireme/core/array/accumulate.h"
#include "trireme/core/ops/attention.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/core/ops/gelu.h"
#include "trireme/core/ops/gemm.h"
#include "trireme/core/ops/layer_norm.h"
#include "trireme/core/ops/linear.h"

namespace trireme::ops {
namespace {

using test::random_array;

struct Set {
  const char* name;
  std::int64_t target;
};

class InstructionSet : public testing::TestWithParam<Set> {
 protected:
  void SetUp() override {
    if ((hwy::SupportedTargets() & GetParam().target) == 0 && GetParam().target != HWY_SCALAR) {
      GTEST_SKIP() << "this processor has no " << GetParam().name;
    }
    choose(GetParam().target);
  }
  void TearDown() override { choose(0); }

  static void choose(std::int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }
};

INSTANTIATE_TEST_SUITE_P(Kernels, InstructionSet,
                         testing::Values(Set{"AVX3", HWY_AVX3}, Set{"AVX2", HWY_AVX2}, Set{"scalar", HWY_SCALAR}),
                         [](const auto& info) { return info.param.name; });

TEST_P(InstructionSet, Gemm) {
  const std::int64_t m = 13;
  const std::int64_t n = 59;
  const std::int64_t k = 391;
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      const Array a = random_array({transpose_a ? k : m, transpose_a ? m : k}, 1).to(DType::f32);
      const Array b = random_array({transpose_b ? n : k, transpose_b ? k : n}, 2).to(DType::f32);
      const Array c = Array::empty({m, n});
      gemm(GemmArgs<float>{.transpose_a = transpose_a,
                           .transpose_b = transpose_b,
                           .m = m,
                           .n = n,
                           .k = k,
                           .a = a.data<float>(),
                           .lda = a.size(1),
                           .b = b.data<float>(),
                           .ldb = b.size(1),
                           .c = c.data<float>(),
                           .ldc = n});
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (std::int64_t l = 0; l < k; ++l) {
            sum += static_cast<double>(a.data<float>()[transpose_a ? l * m + i : i * k + l]) *
                   static_cast<double>(b.data<float>()[transpose_b ? j * k + l : l * n + j]);
          }
          ASSERT_NEAR(c.data<float>()[i * n + j], sum, 3e-5) << transpose_a << transpose_b << " at " << i << ", " << j;
        }
      }
    }
  }
}

TEST_P(InstructionSet, GeluOverItsRange) {
  for (int i = -400; i <= 400; ++i) {
    const auto x = static_cast<float>(i * 0.025);
    const double wide = static_cast<double>(x);
    const double expected = 0.5 * wide * (1 + std::tanh(std::sqrt(2 / M_PI) * (wide + 0.044715 * wide * wide * wide)));
    ASSERT_NEAR(gelu(Array::full({1}, wide)).item(), expected, 4e-7 * std::abs(wide)) << x;
  }
  test::check_op([](const auto& in) { return gelu(in[0]); }, {random_array({2, 21}, 1, -3, 3)});
}

TEST_P(InstructionSet, LayerNorm) {
  test::check_op([](const auto& in) { return layer_norm(in[0], in[1], in[2], 1e-5); },
                 {random_array({3, 21}, 1, -2, 3), random_array({21}, 2, 0.5, 1.5), random_array({21}, 3)},
                 {.gradient_tolerance = 2e-5, .f32_tolerance = 3e-5});
}

TEST_P(InstructionSet, Linear) {
  test::check_op([](const auto& in) { return linear(in[0], in[1], in[2]); },
                 {random_array({5, 6}, 1), random_array({19, 6}, 2), random_array({19}, 3)});
}

TEST_P(InstructionSet, CausalSelfAttention) {
  test::check_op([](const auto& in) { return causal_self_attention(in[0], 1); }, {random_array({1, 35, 6}, 2, -2, 2)});
}

TEST_P(InstructionSet, CrossEntropy) {
  const Array labels = Array::from(std::vector<std::int64_t>{3, 0, 20}, {3});
  test::check_op([&](const auto& in) { return cross_entropy(in[0], labels); }, {random_array({3, 21}, 1, -5, 5)});
}

TEST_P(InstructionSet, Accumulate) {
  const Array a = random_array({37}, 1).to(DType::f32);
  const Array b = random_array({37}, 2).to(DType::f32);
  const Array sum = a.clone();
  accumulate(sum, b);
  for (std::int64_t i = 0; i < 37; ++i) {
    ASSERT_EQ(sum.data<float>()[i], a.data<float>()[i] + b.data<float>()[i]);
  }
}

}  // namespace
}  // namespace trireme::ops
