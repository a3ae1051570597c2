// A table that keeps rows: embedding and embedding_bag give it what they touched, with the bits of the dense gradient.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/support/error_of.h"
#include "tests/support/op_check.h"
#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/embedding.h"
#include "trireme/core/ops/embedding_bag.h"

namespace trireme {
namespace {

using test::error_of;
using test::random_array;

constexpr std::int64_t kRows = 50, kWidth = 3;

Array list(const std::vector<std::int64_t>& values) {
  return Array::from(values, {static_cast<std::int64_t>(values.size())});
}

Tensor table(bool keeps_rows) {
  Tensor leaf = Tensor::leaf(random_array({kRows, kWidth}, 1).to(DType::f32));
  if (keeps_rows) {
    leaf.leaf_node().keep_rows();
  }
  return leaf;
}

// The rows, and the same rows of the dense gradient, of the op.
void expect_the_dense_bits(const std::function<Tensor(const Tensor&)>& op, const std::vector<std::int64_t>& touched) {
  Tensor whole = table(false), sparse = table(true);
  for (const Tensor& leaf : {whole, sparse}) {
    const Tensor out = op(leaf);
    out.backward(random_array(out.shape(), 2).to(DType::f32));
  }
  const SparseRows& rows = sparse.leaf_node().row_gradient();
  EXPECT_FALSE(sparse.grad().defined());
  ASSERT_EQ(rows.rows.to_vector<std::int64_t>(), touched);
  for (std::int64_t i = 0; i < rows.count(); ++i) {
    EXPECT_EQ(rows.values.select(0, i).to_vector<float>(),
              whole.grad().select(0, touched[static_cast<std::size_t>(i)]).to_vector<float>());
  }
}

TEST(SparseLeaf, GetsTheTouchedRowsOfAnEmbedding) {
  expect_the_dense_bits([](const Tensor& x) { return ops::embedding(x, list({7, 49, 7, 0, 7})); }, {0, 7, 49});
  const Array two_dims = list({3, 4, 3, 4, 9, 3}).reshape({2, 3}).to(DType::i32);
  expect_the_dense_bits([&](const Tensor& x) { return ops::embedding(x, two_dims); }, {3, 4, 9});
}

TEST(SparseLeaf, GetsTheTouchedRowsOfBags) {
  for (const ops::BagMode mode : {ops::BagMode::sum, ops::BagMode::mean}) {
    expect_the_dense_bits(
        [&](const Tensor& x) {
          return ops::embedding_bag(x, list({1, 30, 1, 0, 4, 4}), list({0, 3, 3, 4}), mode);
        },
        {0, 1, 4, 30});
  }
}

TEST(SparseLeaf, AddsWhatSeveralLookUpsAndPassesTouch) {
  Tensor leaf = table(true);
  int calls = 0;
  leaf.leaf_node().set_ready_hook([&] { ++calls; });
  for (int pass = 0; pass < 2; ++pass) {
    const Tensor out = ops::add(ops::embedding(leaf, list({1, 2})), ops::embedding(leaf, list({2, 3})));
    out.backward(Array::full({2, kWidth}, 1));
  }
  const SparseRows& rows = leaf.leaf_node().row_gradient();
  EXPECT_EQ(rows.rows.to_vector<std::int64_t>(), (std::vector<std::int64_t>{1, 2, 3}));
  EXPECT_EQ(rows.values.select(1, 0).to_vector<float>(), (std::vector<float>{2, 4, 2}));
  EXPECT_EQ(calls, 2);
  leaf.zero_grad();
  EXPECT_FALSE(leaf.leaf_node().row_gradient().defined());
}

TEST(SparseLeaf, NeverGetsAGradientOfItsSize) {
  Tensor leaf = table(true);
  const Tensor out = ops::mul(leaf, leaf);
  EXPECT_THAT(error_of([&] {
                out.backward(Array::full({kRows, kWidth}, 1));
              }),
              testing::HasSubstr("is a table marked sparse"));
}

}  // namespace
}  // namespace trireme
