// bf16 products: every bit against a plain loop with the roundings that gemm.h promises, over sizes around every block
// edge, on every path that the processor has; and what bits must not depend on.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "tests/core/ops/gemm_parts.h"
#include "tests/core/ops/same_bits.h"
#include "tests/support/bf16_paths.h"
#include "trireme/core/ops/gemm.h"

namespace trireme::ops {
namespace {

using test::on_every_bf16_path;
using test::random_array;

struct Case {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false, accumulate = false, bias = false;
  std::int64_t pad = 0;  // added to every leading dim
  bool bf16_a = false, bf16_b = true;
};

float rounded(float value) { return static_cast<float>(BFloat16(value)); }

struct Problem {
  explicit Problem(const Case& given) : c(given) {
    lda = (c.transpose_a ? c.m : c.k) + c.pad;
    ldb = (c.transpose_b ? c.k : c.n) + c.pad;
    ldc = c.n + c.pad;
    a = fill((c.transpose_a ? c.k : c.m) * lda, 1);
    b = fill((c.transpose_b ? c.n : c.k) * ldb, 2);
    out = fill(c.m * ldc, 3);
    bias = fill(c.n, 4);
    narrow_a.assign(a.size(), BFloat16());
    narrow_b.assign(b.size(), BFloat16());
    std::transform(a.begin(), a.end(), narrow_a.begin(), [](float value) { return BFloat16(value); });
    std::transform(b.begin(), b.end(), narrow_b.begin(), [](float value) { return BFloat16(value); });
  }
  static std::vector<float> fill(std::int64_t count, std::uint64_t seed) {
    return random_array({count}, seed).to(DType::f32).to_vector<float>();
  }
  GemmArgs<BFloat16> args() {
    return {.transpose_a = c.transpose_a,
            .transpose_b = c.transpose_b,
            .m = c.m,
            .n = c.n,
            .k = c.k,
            .a = c.bf16_a ? Bf16Operand(narrow_a.data()) : Bf16Operand(a.data()),
            .lda = lda,
            .b = c.bf16_b ? Bf16Operand(narrow_b.data()) : Bf16Operand(b.data()),
            .ldb = ldb,
            .c = out.data(),
            .ldc = ldc,
            .accumulate = c.accumulate,
            .bias = c.bias ? bias.data() : nullptr};
  }
  float product(std::int64_t i, std::int64_t j, std::int64_t k, float sum) const {
    if (k >= c.k) {
      return sum;
    }
    const auto left = static_cast<std::size_t>(c.transpose_a ? k * lda + i : i * lda + k);
    const auto right = static_cast<std::size_t>(c.transpose_b ? j * ldb + k : k * ldb + j);
    return std::fma(rounded(a[left]), rounded(b[right]), sum);
  }
  // Steps of at most 384 pairs, equal up to a multiple of 8; in a pair the second element comes first.
  float expected(std::int64_t i, std::int64_t j, float before) const {
    const std::int64_t pairs = (c.k + 1) / 2;
    const std::int64_t steps = std::max<std::int64_t>(1, (pairs + 383) / 384);
    const std::int64_t depth = std::max<std::int64_t>(1, ((pairs + steps - 1) / steps + 7) / 8 * 8);
    float result = before;
    for (std::int64_t first = 0; first == 0 || first < pairs; first += depth) {
      float sum = 0;
      for (std::int64_t pair = first; pair < std::min(pairs, first + depth); ++pair) {
        sum = product(i, j, 2 * pair, product(i, j, 2 * pair + 1, sum));
      }
      sum = first == 0 && c.bias ? sum + bias[static_cast<std::size_t>(j)] : sum;
      result = first == 0 && !c.accumulate ? sum : sum + result;
    }
    return result;
  }

  Case c;
  std::int64_t lda, ldb, ldc;
  std::vector<float> a, b, out, bias;
  std::vector<BFloat16> narrow_a, narrow_b;
};

void check(const Case& c) {
  SCOPED_TRACE(text_of(c) + (c.bf16_a ? " bf16" : " f32") + (c.bf16_b ? " bf16" : " f32"));
  const Problem before(c);
  std::vector<float> expected = before.out;
  for (std::int64_t i = 0; i < c.m; ++i) {
    for (std::int64_t j = 0; j < c.n; ++j) {
      float& element = expected[static_cast<std::size_t>(i * before.ldc + j)];
      element = before.expected(i, j, element);
    }
  }
  on_every_bf16_path([&] {
    Problem problem(c);
    gemm(problem.args());
    ASSERT_EQ(problem.out, expected);  // the padding of C included
  });
}

TEST(GemmBf16, GivesTheBitsOfAPlainLoopAroundEveryBlockEdge) {
  int number = 0;
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const std::int64_t m : {1, 3, 9, 33}) {
        for (const std::int64_t n : {1, 15, 49, 66}) {
          for (const std::int64_t k : {1, 2, 5, 67}) {
            ++number;
            check({m, n, k, transpose_a, transpose_b, number % 3 == 0, number % 5 < 2, number % 4, number % 7 < 3,
                   number % 2 == 0});
          }
        }
      }
    }
  }
}

TEST(GemmBf16, GivesTheBitsOfAPlainLoopOverSeveralStepsAndBlocks) {
  check({40, 500, 1601, false, false, true, true});
  check({65, 20, 1025, true, false, false, true, 1, true, false});
  check({9, 401, 771, false, true, true, false, 3, false, false});
  check({17, 30, 2048, true, true, false, false, 0, true, true});
}

TEST(GemmBf16, EmptySizesWriteAnEmptySumOrNothing) {
  check({3, 4, 0});
  check({3, 4, 0, true, true, true, true});
  check({0, 4, 3});
  check({3, 0, 3, false, true});
}

// Each product of bf16 numbers is exact, so the error is that of rounding the operands (2^-9 of each) and of the f32
// sum.
TEST(GemmBf16, IsWithinTheRoundingOfItsOperandsOfTheF32Product) {
  for (const std::int64_t k : {64, 1536}) {
    Problem problem({20, 40, k, false, false, false, false, 0, false, false});
    gemm(problem.args());
    for (std::int64_t i = 0; i < 20; ++i) {
      for (std::int64_t j = 0; j < 40; ++j) {
        double exact = 0;
        double magnitude = 0;
        for (std::int64_t l = 0; l < k; ++l) {
          const double term = static_cast<double>(problem.a[static_cast<std::size_t>(i * k + l)]) *
                              static_cast<double>(problem.b[static_cast<std::size_t>(l * 40 + j)]);
          exact += term;
          magnitude += std::abs(term);
        }
        ASSERT_NEAR(problem.out[static_cast<std::size_t>(i * 40 + j)], exact, magnitude / 256) << i << ", " << j;
      }
    }
  }
}

TEST(GemmBf16, RoundsF32OperandsAsBFloat16DoesWhateverTheirValue) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values = {
      0.0f,       -0.0f,    1.0f,      1.00390625f, 1.01171875f, -1.00390625f,   3.39e38f,
      -3.402e38f, infinity, -infinity, 0.1f,        1e-30f,      std::nanf("1"), std::bit_cast<float>(0x7f800001u)};
  const auto count = static_cast<std::int64_t>(values.size());
  on_every_bf16_path([&] {
    for (const bool transpose : {false, true}) {  // K = 1: C holds the operands times 1
      std::vector<float> out(values.size());
      const float one = 1;
      gemm(GemmArgs<BFloat16>{.transpose_a = transpose,
                              .m = count,
                              .n = 1,
                              .k = 1,
                              .a = values.data(),
                              .lda = transpose ? count : 1,
                              .b = &one,
                              .ldb = 1,
                              .c = out.data(),
                              .ldc = 1});
      for (std::size_t i = 0; i < values.size(); ++i) {
        const float expected = rounded(values[i]);
        ASSERT_TRUE(out[i] == expected || (std::isnan(out[i]) && std::isnan(expected))) << values[i] << " " << out[i];
      }
    }
  });
}

TEST(GemmBf16, BitsDependNeitherOnThePlaceInCNorOnItsSize) {
  Problem whole({70, 130, 501, false, false, false, true});
  expect_equal_parts(whole);
}

TEST(GemmBf16, BitsDependNeitherOnThreadsNorOnWhichOperandWasRoundedBefore) {
  const Case c{150, 230, 421};
  Problem plain(c);
  gemm(plain.args());
  for (const int threads : {1, 2, 3}) {
    for (const bool bf16_a : {false, true}) {
      for (const bool bf16_b : {false, true}) {
        Case other = c;
        other.bf16_a = bf16_a;
        other.bf16_b = bf16_b;
        Problem problem(other);
        set_num_threads(threads);
        gemm(problem.args());
        set_num_threads(1);
        ASSERT_EQ(problem.out, plain.out) << threads << " threads, " << bf16_a << bf16_b;
      }
    }
  }
}

}  // namespace
}  // namespace trireme::ops
