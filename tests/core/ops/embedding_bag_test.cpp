// Embedding bags: sums and means of rows, gradients of repeated rows, empty bags, wrong lists.
#include "trireme/core/ops/embedding_bag.h"

#include <gtest/gtest.h>

#include "tests/support/op_check.h"
#include "trireme/core/base/parallel.h"

namespace trireme {
namespace {

using ops::BagMode;
using test::check_op;
using test::random_array;
using Inputs = std::vector<Tensor>;

Array list(const std::vector<std::int64_t>& values) {
  return Array::from(values, {static_cast<std::int64_t>(values.size())});
}

TEST(EmbeddingBag, GradientMatchesFiniteDifferencesWithRepeatedRowsAndEmptyBags) {
  for (const BagMode mode : {BagMode::sum, BagMode::mean}) {
    check_op(
        [&](const Inputs& in) {
          return ops::embedding_bag(in[0], list({1, 3, 1, 0, 4, 4}), list({0, 3, 3, 4}), mode);
        },
        {random_array({5, 3}, 1)});
  }
}

TEST(EmbeddingBag, SumsAndMeansRows) {
  const Array table = Array::from(std::vector<float>{1, 2, 10, 20, 100, 200}, {3, 2});
  const Array indices = list({0, 2, 1}).to(DType::i32);
  const Array offsets = list({0, 2, 3}).to(DType::i32);
  EXPECT_EQ(ops::embedding_bag(table, indices, offsets, BagMode::sum).array().to_vector<float>(),
            (std::vector<float>{101, 202, 10, 20, 0, 0}));
  EXPECT_EQ(ops::embedding_bag(table, indices, offsets, BagMode::mean).array().to_vector<float>(),
            (std::vector<float>{50.5, 101, 10, 20, 0, 0}));
}

TEST(EmbeddingBag, TwoBagsOfOneTableAddTheirGradients) {
  Tensor table = Tensor::leaf(Array::zeros({3, 1}));
  for (int i = 0; i < 2; ++i) {
    ops::embedding_bag(table, list({0, 2, 2}), list({0}), BagMode::sum).backward(Array::full({1, 1}, 1));
  }
  EXPECT_EQ(table.grad().to_vector<float>(), (std::vector<float>{2, 0, 4}));
}

TEST(EmbeddingBag, ThreadsDoNotChangeBits) {
  std::vector<std::int64_t> indices;
  std::vector<std::int64_t> offsets;
  for (std::int64_t i = 0; i < 3000; ++i) {
    indices.push_back(i * i % 50);
    if (i % 3 == 0) {
      offsets.push_back(i);
    }
  }
  const auto run = [&] {
    Tensor table = Tensor::leaf(random_array({50, 200}, 1).to(DType::f32));
    const Tensor y = ops::embedding_bag(table, list(indices), list(offsets), BagMode::mean);
    y.backward(random_array(y.shape(), 2).to(DType::f32));
    return table.grad().to_vector<float>();
  };
  const std::vector<float> alone = run();
  set_num_threads(3);
  EXPECT_EQ(run(), alone);
  set_num_threads(1);
}

TEST(EmbeddingBag, WrongListsAreErrors) {
  const Tensor table(Array::zeros({3, 2}));
  EXPECT_THROW(ops::embedding_bag(table, list({3}), list({0}), BagMode::sum), Error);
  EXPECT_THROW(ops::embedding_bag(table, list({-1}), list({0}), BagMode::sum), Error);
  EXPECT_THROW(ops::embedding_bag(table, list({0, 1}), list({0, 3}), BagMode::sum), Error);
  EXPECT_THROW(ops::embedding_bag(table, list({0, 1}), list({0, 2, 1}), BagMode::sum), Error);
  EXPECT_THROW(ops::embedding_bag(table, list({0, 1}), list({1}), BagMode::sum), Error);
  EXPECT_THROW(ops::embedding_bag(table, Array::zeros({2}), list({0}), BagMode::sum), Error);
  EXPECT_EQ(ops::embedding_bag(table, list({}), list({}), BagMode::sum).count(), 0);
}

}  // namespace
}  // namespace trireme
