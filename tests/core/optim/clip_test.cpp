// Gradient norms: right to the last bits, and the same however rows are spread over ranks and threads.
#include "trireme/core/optim/clip.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "trireme/core/base/error.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/optim/rows.h"
#include "trireme/core/optim/squares.h"

namespace trireme::optim {
namespace {

Array random_array(const Shape& shape, unsigned seed) {
  const Array out = Array::empty(shape);
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  for (float& value : out.span<float>()) {
    value = normal(random);
  }
  return out;
}

TEST(SumOfSquares, FollowsItsDocumentedOrderForEveryLengthAndOffset) {
  const std::vector<float> values = random_array({200}, 1).to_vector<float>();
  for (std::size_t first = 0; first < 20; ++first) {
    for (std::size_t count = 0; count + first <= 100; ++count) {
      double partials[16] = {};
      for (std::size_t i = 0; i < count; ++i) {
        partials[i % 16] += static_cast<double>(values[first + i]) * values[first + i];
      }
      for (int half = 8; half > 0; half /= 2) {
        for (int i = 0; i < half; ++i) {
          partials[i] += partials[i + half];
        }
      }
      ASSERT_EQ(sum_of_squares(values.data() + first, static_cast<std::int64_t>(count)), partials[0]);
    }
  }
}

TEST(RowLength, IsEverythingBehindDimZero) {
  EXPECT_EQ(row_length({4, 3, 2}), 6);
  EXPECT_EQ(row_length({4, 1}), 1);
  EXPECT_EQ(row_length({7}), 1);
  EXPECT_EQ(row_length({}), 1);
  EXPECT_EQ(row_length({0, 5}), 1);
}

TEST(GradientNorm, IsTheEuclideanNorm) {
  const Array matrix = random_array({37, 65}, 2), vector = random_array({101}, 3);
  ExactSum sum;
  add_squares(sum, matrix, 65);
  add_squares(sum, vector, 1);
  long double expected = 0;
  for (const Array& array : {matrix, vector}) {
    for (const float x : array.to_vector<float>()) {
      expected += static_cast<long double>(x) * x;
    }
  }
  EXPECT_NEAR(norm_of(sum), static_cast<double>(std::sqrt(expected)), 1e-13);
}

TEST(GradientNorm, HasTheSameBitsHoweverRowsAreSpreadOverRanks) {
  const Array matrix = random_array({53, 29}, 4), vector = random_array({40}, 5);
  ExactSum whole;
  add_squares(whole, matrix, 29);
  add_squares(whole, vector, 1);
  for (int ranks = 1; ranks <= 9; ++ranks) {
    ExactSum all;
    for (int rank = ranks - 1; rank >= 0; --rank) {
      ExactSum own;
      const auto cut = [&](const Array& array) {
        const std::int64_t begin = array.size(0) * rank / ranks, end = array.size(0) * (rank + 1) / ranks;
        return array.narrow(0, begin, end - begin);
      };
      add_squares(own, cut(vector), 1);
      add_squares(own, cut(matrix).flatten(), 29);
      all.merge(own);
    }
    EXPECT_EQ(all.value(), whole.value()) << ranks << " ranks";
  }
}

TEST(GradientNorm, HasTheSameBitsForAnyNumberOfThreads) {
  const Array matrix = random_array({500, 100}, 6);
  ExactSum one, three;
  add_squares(one, matrix, 100);
  set_num_threads(3);
  add_squares(three, matrix, 100);
  set_num_threads(1);
  EXPECT_EQ(one.value(), three.value());
}

TEST(GradientNorm, PiecesThatCutARowAreAnError) {
  ExactSum sum;
  EXPECT_THROW(add_squares(sum, Array::zeros({10}), 3), Error);
  add_squares(sum, Array::zeros({0, 3}), 3);
  EXPECT_EQ(norm_of(sum), 0);
}

TEST(ClipFactor, ScalesDownToTheLargestNormAndNeverUp) {
  EXPECT_EQ(clip_factor(0.5, 1), 1);
  EXPECT_EQ(clip_factor(4, 1), 1 / (4 + 1e-6));
  EXPECT_EQ(clip_factor(1, 1), 1 / (1 + 1e-6));
  EXPECT_EQ(clip_factor(100, 0), 1);
  EXPECT_TRUE(std::isnan(clip_factor(std::nan(""), 1)));
  EXPECT_EQ(clip_factor(INFINITY, 1), 0);
}

}  // namespace
}  // namespace trireme::optim
