// What the tests of matrix products in several dtypes have in common.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "trireme/core/ops/gemm.h"

namespace trireme::ops {

// A case's sizes and switches, for traces.
template <class Case>
std::string text_of(const Case& c) {
  return fmt::format("{}x{}x{} {}{}{}{} pad {}", c.m, c.n, c.k, c.transpose_a ? "T" : "N", c.transpose_b ? "T" : "N",
                     c.accumulate ? " accumulate" : "", c.bias ? " bias" : "", c.pad);
}

// Parts of the product alone, of many sizes and places, against the same parts of the whole: the same bits. `whole` has
// a bias, and nothing transposed.
template <class Problem>
void expect_equal_parts(Problem& whole) {
  gemm(whole.args());
  for (const std::int64_t m : {1, 5, 8, 40}) {
    for (const std::int64_t n : {1, 15, 60}) {
      const std::int64_t row = whole.c.m - m;
      const std::int64_t column = whole.c.n - n;
      std::vector<float> part(static_cast<std::size_t>(m * n));
      auto args = whole.args();
      args.m = m;
      args.n = n;
      args.a = args.a + row * args.lda;
      args.b = args.b + column;
      args.bias += column;
      args.c = part.data();
      args.ldc = n;
      gemm(args);
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) {
          ASSERT_EQ(part[static_cast<std::size_t>(i * n + j)],
                    whole.out[static_cast<std::size_t>((row + i) * whole.ldc + column + j)]);
        }
      }
    }
  }
}

}  // namespace trireme::ops
