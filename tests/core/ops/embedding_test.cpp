#include "trireme/core/ops/embedding.h"

#include <gtest/gtest.h>

#include "tests/core/ops/same_bits.h"

namespace trireme::ops {
namespace {

using test::random_array;

Array indices(std::vector<std::int64_t> values, const Shape& shape) { return Array::from(values, shape); }

TEST(Embedding, GradientsAreRightForRepeatedIndices) {
  const Array index = indices({2, 0, 2, 4, 2, 1}, {2, 3});
  test::check_op([&](const auto& in) { return embedding(in[0], index); }, {random_array({5, 3}, 1)});
}

TEST(Embedding, PicksRowsForEveryIndexType) {
  const Array table = random_array({6, 4}, 1).to(DType::f32);
  const Array index = indices({5, 0, 3}, {3});
  for (const DType dtype : {DType::i64, DType::i32, DType::u8}) {
    const Array out = embedding(table, index.to(dtype)).array();
    EXPECT_EQ(to_string(out.shape()), "[3, 4]");
    test::expect_same_bits(out.narrow(0, 1, 1), table.narrow(0, 0, 1), "row 0");
    test::expect_same_bits(out.narrow(0, 0, 1), table.narrow(0, 5, 1), "row 5");
  }
}

TEST(Embedding, BitsOfTheGradientDoNotDependOnThreads) {
  std::vector<std::int64_t> values(400);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<std::int64_t>(i * i % 7);
  }
  const Array index = indices(values, {400});
  test::expect_same_bits_for_any_threads([&](const auto& in) { return embedding(in[0], index); },
                                         {random_array({7, 600}, 1)});
}

TEST(Embedding, AddsOntoAGradientThatIsThereAlready) {
  Tensor table = Tensor::leaf(Array::zeros({3, 2}));
  const Array index = indices({1, 1}, {2});
  embedding(table, index).backward(Array::full({2, 2}, 1));
  embedding(table, index).backward(Array::full({2, 2}, 1));
  EXPECT_EQ(table.grad().to_vector<float>(), (std::vector<float>{0, 0, 4, 4, 0, 0}));
}

TEST(Embedding, NoIndicesGiveAZeroGradient) {
  Tensor table = Tensor::leaf(Array::full({3, 2}, 1));
  embedding(table, indices({}, {0})).backward(Array::zeros({0, 2}));
  EXPECT_EQ(table.grad().to_vector<float>(), std::vector<float>(6, 0.0f));
}

TEST(Embedding, AnIndexOutOfRangeIsNamedWithItsPlace) {
  const Array table = Array::zeros({3, 2});
  EXPECT_NE(test::error_of([&] {
              embedding(table, indices({0, 3}, {2}));
            }).find("index 3 at position 1"),
            std::string::npos);
  EXPECT_NE(test::error_of([&] { embedding(table, indices({-1}, {1})); }).find("index -1"), std::string::npos);
  EXPECT_NE(test::error_of([&] { embedding(table, Array::zeros({2})); }).find("i64, i32 or u8 expected"),
            std::string::npos);
}

}  // namespace
}  // namespace trireme::ops
