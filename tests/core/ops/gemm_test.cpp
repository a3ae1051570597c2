// The matrix product against a plain loop, over sizes around every block edge, and the promises about bits.
#include "trireme/core/ops/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/core/ops/gemm_parts.h"
#include "tests/core/ops/same_bits.h"

namespace trireme::ops {
namespace {

using test::random_array;

struct Case {
  std::int64_t m, n, k;
  bool transpose_a = false, transpose_b = false, accumulate = false, bias = false;
  std::int64_t pad = 0;  // added to every leading dim
};

template <class T>
struct Problem {
  explicit Problem(const Case& c) : c(c) {
    lda = (c.transpose_a ? c.m : c.k) + c.pad;
    ldb = (c.transpose_b ? c.k : c.n) + c.pad;
    ldc = c.n + c.pad;
    a = fill((c.transpose_a ? c.k : c.m) * lda, 1);
    b = fill((c.transpose_b ? c.n : c.k) * ldb, 2);
    out = fill(c.m * ldc, 3);
    bias = fill(c.n, 4);
  }
  static std::vector<T> fill(std::int64_t count, int seed) {
    const std::vector<double> values = random_array({count}, static_cast<std::uint64_t>(seed)).to_vector<double>();
    return std::vector<T>(values.begin(), values.end());
  }
  GemmArgs<T> args() {
    return {.transpose_a = c.transpose_a,
            .transpose_b = c.transpose_b,
            .m = c.m,
            .n = c.n,
            .k = c.k,
            .a = a.data(),
            .lda = lda,
            .b = b.data(),
            .ldb = ldb,
            .c = out.data(),
            .ldc = ldc,
            .accumulate = c.accumulate,
            .bias = c.bias ? bias.data() : nullptr};
  }
  double expected(std::int64_t i, std::int64_t j, double before) const {
    double sum = (c.accumulate ? before : 0) + (c.bias ? static_cast<double>(bias[static_cast<std::size_t>(j)]) : 0);
    for (std::int64_t k = 0; k < c.k; ++k) {
      const auto left = static_cast<std::size_t>(c.transpose_a ? k * lda + i : i * lda + k);
      const auto right = static_cast<std::size_t>(c.transpose_b ? j * ldb + k : k * ldb + j);
      sum += static_cast<double>(a[left]) * static_cast<double>(b[right]);
    }
    return sum;
  }

  Case c;
  std::int64_t lda, ldb, ldc;
  std::vector<T> a, b, out, bias;
};

template <class T>
void check(const Case& c, double tolerance) {
  SCOPED_TRACE(text_of(c));
  Problem<T> problem(c);
  const std::vector<T> before = problem.out;
  gemm(problem.args());
  for (std::int64_t i = 0; i < c.m; ++i) {
    for (std::int64_t j = 0; j < problem.ldc; ++j) {
      const auto at = static_cast<std::size_t>(i * problem.ldc + j);
      if (j >= c.n) {
        ASSERT_EQ(problem.out[at], before[at]) << "wrote outside of C at " << i << ", " << j;
      } else {
        ASSERT_NEAR(problem.out[at], problem.expected(i, j, before[at]), tolerance * std::sqrt(1.0 + c.k))
            << i << ", " << j;
      }
    }
  }
}

TEST(Gemm, AgreesWithAPlainLoopAroundEveryBlockEdge) {
  for (const bool transpose_a : {false, true}) {
    for (const bool transpose_b : {false, true}) {
      for (const std::int64_t m : {1, 3, 7, 9, 33, 70}) {
        for (const std::int64_t n : {1, 10, 16, 31, 49, 66}) {
          for (const std::int64_t k : {1, 5, 66}) {
            check<float>({m, n, k, transpose_a, transpose_b, (m + n) % 2 == 0, k % 2 == 0, (m + k) % 3}, 2e-6);
            check<double>({m, n, k, transpose_a, transpose_b, (m + n) % 2 == 1, k % 2 == 1, n % 3}, 1e-14);
          }
        }
      }
    }
  }
}

TEST(Gemm, AgreesWithAPlainLoopOverSeveralSteps) {
  check<float>({40, 500, 800, false, false, true, true}, 2e-6);
  check<float>({65, 20, 1025, true, false, false, true}, 2e-6);
  check<float>({9, 401, 385, false, true, true, false}, 2e-6);
  check<float>({17, 30, 1024, false, true}, 2e-6);  // rows of A a page apart
  check<double>({30, 201, 400, true, true, true, true}, 1e-14);
}

TEST(Gemm, EmptySizesWriteAnEmptySumOrNothing) {
  check<float>({3, 4, 0}, 0);
  check<float>({3, 4, 0, true, true, true, true}, 1e-7);
  check<float>({0, 4, 3}, 0);
  check<float>({3, 0, 3, false, true}, 0);
}

TEST(Gemm, BitsDependNeitherOnThePlaceInCNorOnItsSize) {
  Problem<float> whole({70, 130, 500, false, false, false, true});
  expect_equal_parts(whole);
}

TEST(Gemm, BitsDependNeitherOnTheLayoutNorOnTheThreads) {
  const Case c{150, 230, 420};
  Problem<float> plain(c);
  gemm(plain.args());
  for (const int threads : {1, 2, 3}) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        Problem<float> other(c);
        GemmArgs<float> args = other.args();
        std::vector<float> a = other.a;
        std::vector<float> b = other.b;
        if (transpose_a) {
          for (std::int64_t i = 0; i < c.m * c.k; ++i) {
            a[static_cast<std::size_t>(i % c.k * c.m + i / c.k)] = other.a[static_cast<std::size_t>(i)];
          }
          args.lda = c.m;
        }
        if (transpose_b) {
          for (std::int64_t i = 0; i < c.k * c.n; ++i) {
            b[static_cast<std::size_t>(i % c.n * c.k + i / c.n)] = other.b[static_cast<std::size_t>(i)];
          }
          args.ldb = c.k;
        }
        args.transpose_a = transpose_a;
        args.transpose_b = transpose_b;
        args.a = a.data();
        args.b = b.data();
        set_num_threads(threads);
        gemm(args);
        set_num_threads(1);
        ASSERT_EQ(other.out, plain.out) << threads << " threads, " << transpose_a << transpose_b;
      }
    }
  }
}

}  // namespace
}  // namespace trireme::ops
