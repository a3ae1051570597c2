#include "trireme/core/ops/cross_entropy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/core/ops/same_bits.h"
#include "trireme/core/array/allocator.h"
#include "trireme/core/ops/linear.h"

namespace trireme::ops {
namespace {

using test::random_array;

Array labels(std::int64_t rows, std::int64_t classes) {
  Array out = Array::empty({rows}, DType::i64);
  for (std::int64_t i = 0; i < rows; ++i) {
    out.data<std::int64_t>()[i] = (i * i + 3) % classes;
  }
  return out;
}

double plain(const Array& logits, const Array& index) {
  const std::vector<double> x = logits.to_vector<double>();
  const auto columns = static_cast<std::size_t>(logits.size(1));
  double sum = 0;
  for (std::size_t row = 0; row < static_cast<std::size_t>(logits.size(0)); ++row) {
    double total = 0;
    for (std::size_t j = 0; j < columns; ++j) {
      total += std::exp(x[row * columns + j]);
    }
    sum += std::log(total) - x[row * columns + static_cast<std::size_t>(index.data<std::int64_t>()[row])];
  }
  return sum / static_cast<double>(logits.size(0));
}

TEST(CrossEntropy, GradientsAndStridesAreRight) {
  const Array index = labels(4, 7);
  test::check_op([&](const auto& in) { return cross_entropy(in[0], index); }, {random_array({4, 7}, 1, -3, 3)});
}

TEST(CrossEntropy, AgreesWithAPlainLoopAtOddSizes) {
  for (const std::int64_t columns : {1, 2, 15, 16, 17, 257}) {
    const Array x = random_array({5, columns}, 1, -6, 6);
    EXPECT_NEAR(cross_entropy(x.to(DType::f32), labels(5, columns)).item(), plain(x, labels(5, columns)), 3e-6)
        << columns;
    EXPECT_NEAR(cross_entropy(x, labels(5, columns)).item(), plain(x, labels(5, columns)), 1e-13) << columns;
  }
}

TEST(CrossEntropy, HugeLogitsNeitherOverflowNorVanish) {
  const Array x = Array::from(std::vector<float>{5000, 4000, -5000}, {1, 3});
  EXPECT_EQ(cross_entropy(x, Array::from(std::vector<std::int64_t>{0}, {1})).item(), 0);
  EXPECT_EQ(cross_entropy(x, Array::from(std::vector<std::int64_t>{1}, {1})).item(), 1000);
}

TEST(CrossEntropy, LabelsOfEveryIndexTypeAndTheWeight) {
  const Array x = random_array({4, 7}, 1).to(DType::f32);
  const Tensor loss = cross_entropy(x, labels(4, 7));
  EXPECT_EQ(loss.weight(), 4);
  EXPECT_FALSE(loss.weight_depends_on_data());
  EXPECT_EQ(cross_entropy(x, labels(4, 7).to(DType::u8)).item(), loss.item());
  EXPECT_EQ(cross_entropy(x, labels(4, 7).to(DType::i32)).item(), loss.item());
}

TEST(CrossEntropy, IgnoredRowsCountNeitherInTheMeanNorInTheGradient) {
  const Array index = Array::from(std::vector<std::int64_t>{2, -100, 0, -100}, {4});
  const Array kept = Array::from(std::vector<std::int64_t>{2, 0}, {2});
  Tensor x = Tensor::leaf(random_array({4, 5}, 1).to(DType::f32));
  const Tensor loss = cross_entropy(x, index, -100);
  const Array rows = x.array().reshape({2, 2, 5}).select(1, 0).contiguous();
  EXPECT_EQ(loss.item(), cross_entropy(rows, kept).item());
  EXPECT_EQ(loss.weight(), 2);
  EXPECT_TRUE(loss.weight_depends_on_data());
  loss.backward();
  EXPECT_EQ(x.grad().narrow(0, 1, 1).to_vector<float>(), std::vector<float>(5, 0.0f));
  test::check_op([&](const auto& in) { return cross_entropy(in[0], index, -100); }, {random_array({4, 5}, 2)});
}

TEST(CrossEntropy, NothingKeptIsALossOfZeroWithWeightZero) {
  Tensor x = Tensor::leaf(random_array({2, 5}, 1).to(DType::f32));
  const Tensor loss = cross_entropy(x, Array::from(std::vector<std::int64_t>{-1, -1}, {2}), -1);
  EXPECT_EQ(loss.item(), 0);
  EXPECT_EQ(loss.weight(), 0);
  loss.backward();
  EXPECT_EQ(x.grad().to_vector<float>(), std::vector<float>(10, 0.0f));
  EXPECT_EQ(cross_entropy(Array::zeros({0, 5}), Array::empty({0}, DType::i64)).item(), 0);
}

TEST(CrossEntropy, BackwardWritesOverLogitsThatNobodyElseHolds) {
  Tensor x = Tensor::leaf(random_array({64, 300}, 1).to(DType::f32));
  const Array weight = random_array({512, 300}, 2).to(DType::f32);
  Tensor loss;
  {
    const Tensor logits = linear(x, weight, Tensor());
    loss = cross_entropy(logits, labels(64, 512));
  }
  const std::int64_t before = memory_stats().bytes_in_use;
  reset_memory_peak();
  loss.backward();
  EXPECT_LT(memory_stats().bytes_in_use_peak - before, 64 * 512 * 4);
}

TEST(CrossEntropy, LogitsThatTheCallerStillHoldsStayAsTheyWere) {
  Tensor x = Tensor::leaf(random_array({3, 4}, 1).to(DType::f32));
  const Tensor logits = linear(x, random_array({5, 4}, 2).to(DType::f32), Tensor());
  const std::vector<float> before = logits.array().to_vector<float>();
  cross_entropy(logits, labels(3, 5)).backward();
  EXPECT_EQ(logits.array().to_vector<float>(), before);
}

TEST(CrossEntropy, BitsDoNotDependOnThreads) {
  const Array index = labels(300, 257);
  test::expect_same_bits_for_any_threads([&](const auto& in) { return cross_entropy(in[0], index); },
                                         {random_array({300, 257}, 1)});
}

TEST(CrossEntropy, WrongLabelsAreNamed) {
  const Array x = Array::zeros({2, 3});
  EXPECT_NE(test::error_of([&] {
              cross_entropy(x, Array::from(std::vector<std::int64_t>{0, 3}, {2}));
            }).find("label 3 at row 1"),
            std::string::npos);
  EXPECT_NE(
      test::error_of([&] { cross_entropy(x, Array::from(std::vector<std::int64_t>{0}, {1})); }).find("[2] expected"),
      std::string::npos);
  EXPECT_NE(test::error_of([&] { cross_entropy(x, Array::zeros({2})); }).find("i64, i32 or u8"), std::string::npos);
}

TEST(LinearCrossEntropy, GradientsAndStridesAreRight) {
  const Array index = labels(5, 7);
  test::check_op([&](const auto& in) { return linear_cross_entropy(in[0], in[1], index); },
                 {random_array({5, 4}, 1), random_array({7, 4}, 2)});
}

TEST(LinearCrossEntropy, AgreesWithTheTwoOpsItFuses) {
  const std::int64_t rows = 70;
  const Array index = labels(rows, 257);
  const std::vector<Array> in = {random_array({rows, 66}, 1), random_array({257, 66}, 2)};
  const auto fused = test::run_op([&](const auto& t) { return linear_cross_entropy(t[0], t[1], index); }, in);
  const auto apart =
      test::run_op([&](const auto& t) { return cross_entropy(linear(t[0], t[1], Tensor()), index); }, in);
  for (std::size_t n = 0; n < fused.size(); ++n) {
    const std::vector<float> a = fused[n].to_vector<float>();
    const std::vector<float> b = apart[n].to_vector<float>();
    for (std::size_t i = 0; i < a.size(); ++i) {
      ASSERT_NEAR(a[i], b[i], 1e-6) << n << ", " << i;
    }
  }
}

// 1.1 million classes: the chunk is 8 rows, so three rows over make a short last chunk.
TEST(LinearCrossEntropy, ChunksOfRowsGiveTheSameAsOne) {
  const std::int64_t classes = 1100000;
  const Array weight = random_array({1, 2}, 2).broadcast_to({classes, 2}).to(DType::f32);
  Tensor x = Tensor::leaf(random_array({19, 2}, 1).to(DType::f32));
  const Tensor loss = linear_cross_entropy(x, weight, labels(19, classes));
  EXPECT_NEAR(loss.item(), std::log(static_cast<double>(classes)), 1e-4);
  EXPECT_EQ(loss.weight(), 19);
}

TEST(LinearCrossEntropy, BitsDoNotDependOnThreads) {
  const Array index = labels(90, 257);
  test::expect_same_bits_for_any_threads([&](const auto& in) { return linear_cross_entropy(in[0], in[1], index); },
                                         {random_array({90, 66}, 1), random_array({257, 66}, 2)});
}

TEST(LinearCrossEntropy, EmptyBatchAndWrongShapes) {
  const auto out = test::run_op([&](const auto& in) { return linear_cross_entropy(in[0], in[1], labels(0, 3)); },
                                {Array::zeros({0, 2}, DType::f64), random_array({3, 2}, 1)});
  EXPECT_EQ(out[0].item(), 0);
  EXPECT_EQ(out[2].to_vector<float>(), std::vector<float>(6, 0.0f));
  EXPECT_NE(test::error_of([] {
              linear_cross_entropy(Array::zeros({1, 2}), Array::zeros({3, 4}), labels(1, 3));
            }).find("weight f32[3, 4]"),
            std::string::npos);
}

}  // namespace
}  // namespace trireme::ops
