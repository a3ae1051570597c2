#include "trireme/core/ops/matmul.h"

#include <gtest/gtest.h>

#include "tests/core/ops/same_bits.h"

namespace trireme::ops {
namespace {

using test::random_array;

Tensor op(const std::vector<Tensor>& in) { return matmul(in[0], in[1]); }

TEST(Matmul, GradientsAndStridesAreRight) {
  test::check_op(op, {random_array({3, 5}, 1), random_array({5, 4}, 2)});
  test::check_op(op, {random_array({2, 3, 5}, 1), random_array({2, 5, 4}, 2)});
}

TEST(Matmul, BroadcastsBatchesAndSumsTheirGradients) {
  test::check_op(op, {random_array({2, 3, 5}, 1), random_array({5, 4}, 2)});
  test::check_op(op, {random_array({3, 5}, 1), random_array({2, 5, 4}, 2)});
  test::check_op(op, {random_array({2, 1, 3, 5}, 1), random_array({1, 3, 5, 2}, 2)});
  test::check_op(op, {random_array({3, 2, 5}, 1), random_array({2, 3, 5, 2}, 2)});
}

TEST(Matmul, ReadsTransposedAndNarrowedOperandsWhereTheyLie) {
  const Array a = random_array({7, 6}, 1);
  const Array b = random_array({9, 7}, 2);
  const Array expected = matmul(a.transpose(0, 1).clone(), b.transpose(0, 1).clone()).array();
  test::expect_same_bits(matmul(a.transpose(0, 1), b.transpose(0, 1)).array(), expected, "transposed");
  const Array part = matmul(a.narrow(1, 2, 3).transpose(0, 1), b.narrow(0, 1, 4).transpose(0, 1)).array();
  test::expect_same_bits(part, expected.narrow(0, 2, 3).narrow(1, 1, 4), "narrowed");
}

TEST(Matmul, BitsDoNotDependOnThreads) {
  test::expect_same_bits_for_any_threads(op, {random_array({5, 70, 66}, 1), random_array({5, 66, 49}, 2)});
  test::expect_same_bits_for_any_threads(op, {random_array({5, 70, 66}, 1), random_array({66, 49}, 2)});
}

TEST(Matmul, EmptySizes) {
  const std::vector<Array> none = test::run_op(op, {Array::zeros({0, 2, 3}, DType::f64), random_array({3, 4}, 1)});
  EXPECT_EQ(none[2].to_vector<float>(), std::vector<float>(12, 0.0f));
  EXPECT_EQ(matmul(Array::zeros({2, 0}), Array::zeros({0, 3})).array().to_vector<float>(), std::vector<float>(6, 0.0f));
}

TEST(Matmul, WrongShapesAreNamed) {
  EXPECT_NE(test::error_of([] {
              matmul(Array::zeros({2, 3}), Array::zeros({4, 5}));
            }).find("f32[2, 3] and f32[4, 5] given"),
            std::string::npos);
  EXPECT_NE(test::error_of([] {
              matmul(Array::zeros({3}), Array::zeros({3, 5}));
            }).find("two dims or more"),
            std::string::npos);
}

}  // namespace
}  // namespace trireme::ops
