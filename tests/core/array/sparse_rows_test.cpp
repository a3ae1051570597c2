// Rows with their numbers: sums of duplicates in order, unions, cuts.
#include "trireme/core/array/sparse_rows.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "trireme/core/base/error.h"
#include "trireme/core/base/parallel.h"

namespace trireme {
namespace {

Array numbers(const std::vector<std::int64_t>& values) {
  return Array::from(values, {static_cast<std::int64_t>(values.size())});
}

struct Contributions {
  Array indices;
  Array values;
};

Contributions random_contributions(std::int64_t count, std::int64_t width, std::int64_t rows, unsigned seed) {
  std::mt19937_64 random(seed);
  Contributions made{Array::empty({count}, DType::i64), Array::empty({count, width})};
  for (std::int64_t& index : made.indices.span<std::int64_t>()) {
    index = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(rows));
  }
  std::normal_distribution<float> normal;
  for (float& value : made.values.span<float>()) {
    value = normal(random);
  }
  return made;
}

// The plain way: one contribution after the other.
std::map<std::int64_t, std::vector<float>> summed(const Contributions& given) {
  std::map<std::int64_t, std::vector<float>> rows;
  const std::int64_t width = given.values.size(1);
  for (std::int64_t i = 0; i < given.indices.count(); ++i) {
    const float* from = given.values.data<float>() + i * width;
    const auto [at, fresh] = rows.try_emplace(given.indices.data<std::int64_t>()[i], from, from + width);
    for (std::int64_t d = 0; d < width && !fresh; ++d) {
      at->second[static_cast<std::size_t>(d)] += from[d];
    }
  }
  return rows;
}

std::map<std::int64_t, std::vector<float>> as_map(const SparseRows& sparse) {
  std::map<std::int64_t, std::vector<float>> rows;
  for (std::int64_t i = 0; i < sparse.count(); ++i) {
    rows[sparse.rows.data<std::int64_t>()[i]] = sparse.values.select(0, i).to_vector<float>();
  }
  EXPECT_EQ(static_cast<std::int64_t>(rows.size()), sparse.count()) << "a row came twice";
  const auto all = sparse.rows.span<std::int64_t>();
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  return rows;
}

TEST(SparseRows, DuplicatesAreSummedInTheOrderInWhichTheyOccur) {
  for (const std::int64_t rows : {1LL, 7LL, 300LL, 5000LL, 1LL << 40}) {
    for (const std::int64_t count : {1, 2, 1000}) {
      const Contributions given = random_contributions(count, 5, rows, static_cast<unsigned>(count));
      EXPECT_EQ(as_map(sum_duplicates(given.indices, given.values)), summed(given)) << count << " of " << rows;
    }
  }
}

TEST(SparseRows, ThreadsDoNotChangeBits) {
  const Contributions given = random_contributions(9000, 16, 700, 3);
  const auto alone = as_map(sum_duplicates(given.indices, given.values));
  set_num_threads(3);
  EXPECT_EQ(as_map(sum_duplicates(given.indices, given.values)), alone);
  set_num_threads(1);
}

TEST(SparseRows, NoContributionsAreNoRows) {
  const SparseRows none = sum_duplicates(numbers({}), Array::empty({0, 3}));
  EXPECT_TRUE(none.defined());
  EXPECT_EQ(none.count(), 0);
  EXPECT_EQ(add_rows(none, none).count(), 0);
}

TEST(SparseRows, ASumTakesRowsOfOneSideAsTheyAre) {
  const Array values = Array::from(std::vector<float>{-0.0f, 1, 2}, {3, 1});
  const SparseRows left{numbers({2, 5, 9}), values};
  const SparseRows right{numbers({0, 5, 11}), values};
  const SparseRows sum = add_rows(left, right);
  EXPECT_EQ(sum.rows.to_vector<std::int64_t>(), (std::vector<std::int64_t>{0, 2, 5, 9, 11}));
  EXPECT_EQ(sum.values.to_vector<float>(), (std::vector<float>{-0.0f, -0.0f, 2, 2, 2}));
  EXPECT_TRUE(std::signbit(sum.values.data<float>()[0])) << "something was added to a row of one side";
  EXPECT_TRUE(std::signbit(sum.values.data<float>()[1]));
}

TEST(SparseRows, TheOrderOfASumIsLeftThenRight) {
  const float big = 1e8f;
  const SparseRows a{numbers({1}), Array::full({1, 1}, big)};
  const SparseRows b{numbers({1}), Array::full({1, 1}, -big)};
  const SparseRows c{numbers({1}), Array::full({1, 1}, 1)};
  EXPECT_EQ(add_rows(add_rows(a, b), c).values.item(), 1);
  EXPECT_EQ(add_rows(a, add_rows(b, c)).values.item(), 0);
}

TEST(SparseRows, ACutIsAView) {
  const SparseRows all{numbers({2, 5, 9}), Array::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2})};
  const SparseRows cut = rows_between(all, 3, 9);
  EXPECT_EQ(cut.rows.to_vector<std::int64_t>(), std::vector<std::int64_t>{5});
  EXPECT_EQ(cut.values.bytes_data(), all.values.bytes_data() + 2 * sizeof(float));
  EXPECT_EQ(rows_between(all, 10, 20).count(), 0);
  EXPECT_EQ(rows_between(all, 0, 100).count(), 3);
  EXPECT_FALSE(rows_between({}, 0, 1).defined());
}

TEST(SparseRows, WrongShapesAndNegativeRowsAreErrors) {
  EXPECT_THROW(sum_duplicates(numbers({1, 2}), Array::zeros({3, 2})), Error);
  EXPECT_THROW(sum_duplicates(numbers({1, 2}).to(DType::i32), Array::zeros({2, 2})), Error);
  EXPECT_THROW(sum_duplicates(numbers({1, -1}), Array::zeros({2, 2})), Error);
  EXPECT_THROW(add_rows({numbers({1}), Array::zeros({1, 2})}, {numbers({1}), Array::zeros({1, 3})}), Error);
}

}  // namespace
}  // namespace trireme
