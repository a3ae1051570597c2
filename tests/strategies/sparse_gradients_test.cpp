// Rows of sparse tables over lanes and ranks: the lane tree row by row, the same bits for every world size.
#include "trireme/strategies/sparse_gradients.h"

#include <gtest/gtest.h>

#include <cmath>
#include <mutex>
#include <optional>

#include "tests/support/op_check.h"
#include "trireme/comm/environment.h"
#include "trireme/core/ops/embedding.h"
#include "trireme/core/optim/clip.h"

namespace trireme::strategies {
namespace {

constexpr std::int64_t kRows = 23;
using Row = std::optional<std::vector<float>>;

std::vector<std::int64_t> indices_of(std::int64_t leaf, std::size_t table) {
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < 4; ++i) {
    rows.push_back((leaf * 5 + i * i * 3 + static_cast<std::int64_t>(table)) % kRows);
  }
  return rows;
}

Array values_of(std::int64_t leaf, std::size_t table, std::int64_t width) {
  return test::random_array({4, width}, static_cast<std::uint64_t>(leaf * 10) + table).to(DType::f32);
}

bool touches(std::int64_t leaf, std::size_t table) { return table == 0 || leaf % 3 != 1; }

// What the tree over the leaves [node.begin, node.end) comes to for one row; a leaf without it is absent.
Row expected(const BatchSplit& split, Subtree node, std::size_t table, std::int64_t row, std::int64_t width) {
  if (node.size() == 1) {
    if (split.items_of(node.begin) == 0 || !touches(node.begin, table)) {
      return {};
    }
    Row sum;
    const std::vector<std::int64_t> indices = indices_of(node.begin, table);
    for (std::size_t i = 0; i < indices.size(); ++i) {
      if (indices[i] == row) {
        const std::vector<float> one =
            values_of(node.begin, table, width).select(0, static_cast<std::int64_t>(i)).to_vector<float>();
        for (std::size_t d = 0; sum && d < one.size(); ++d) {
          (*sum)[d] += one[d];
        }
        sum = sum ? sum : one;
      }
    }
    return sum;
  }
  const std::int64_t middle = split_point(node);
  Row left = expected(split, {node.begin, middle}, table, row, width);
  const Row right = expected(split, {middle, node.end}, table, row, width);
  if (!left || !right) {
    return left ? left : right;
  }
  for (std::size_t d = 0; d < left->size(); ++d) {
    (*left)[d] += (*right)[d];
  }
  return left;
}

std::vector<Tensor> make_tables() {
  std::vector<Tensor> tables = {Tensor::leaf(Array::zeros({kRows, 3})), Tensor::leaf(Array::zeros({kRows, 2}))};
  for (const Tensor& table : tables) {
    table.leaf_node().keep_rows();
  }
  return tables;
}

struct Result {
  std::vector<SparseRows> tables;
  double squares = 0;
};

Result reduced(const BatchSplit& split, int world, std::vector<Result>& of_rank) {
  std::mutex mutex;
  std::int64_t limbs[ExactSum::kLimbs] = {};
  comm::run_local(world, [&](comm::World ranks) {
    const std::vector<Tensor> tables = make_tables();
    SparseGradients gradients(*ranks.communicator(),
                              {{"a", tables[0], tables[0].node(), 0}, {"b", tables[1], tables[1].node(), 1}});
    StepPlans plans(ranks.rank(), ranks.size());
    const StepPlan& plan = plans.of(split);
    int height = 0;
    for (const sharding::LanePlan::Leaf& leaf : plan.lanes.leaves) {
      gradients.open_leaf();
      for (std::size_t t = 0; t < tables.size(); ++t) {
        if (touches(leaf.leaf, t)) {
          const std::vector<std::int64_t> indices = indices_of(leaf.leaf, t);
          ops::embedding(tables[t], Array::from(indices, {4})).backward(values_of(leaf.leaf, t, tables[t].size(1)));
        }
      }
      std::vector<bool> used;
      gradients.end_leaf(height, leaf.merges, used);
      EXPECT_EQ(used, (std::vector<bool>{touches(leaf.leaf, 0), touches(leaf.leaf, 1)}));
      height += 1 - leaf.merges;
    }
    gradients.reduce(plan);
    ExactSum sum;
    gradients.add_squares(sum, ranks.rank(), ranks.size());
    const std::lock_guard lock(mutex);
    of_rank.push_back({{gradients.reduced(0), gradients.reduced(1)}, 0});
    std::size_t i = 0;
    for (const std::int64_t limb : sum.limbs()) {
      limbs[i++] += limb;
    }
  });
  Result result = of_rank.front();
  result.squares = ExactSum::from_limbs(limbs).value();
  return result;
}

void expect_the_tree(const BatchSplit& split, int world) {
  std::vector<Result> of_rank;
  const Result result = reduced(split, world, of_rank);
  ExactSum squares;
  for (std::size_t t = 0; t < 2; ++t) {
    const std::int64_t width = t == 0 ? 3 : 2;
    std::vector<std::int64_t> rows;
    std::vector<float> values;
    for (std::int64_t row = 0; row < kRows; ++row) {
      if (const Row value = expected(split, {0, split.leaves()}, t, row, width)) {
        rows.push_back(row);
        values.insert(values.end(), value->begin(), value->end());
      }
    }
    for (const Result& one : of_rank) {
      ASSERT_EQ(one.tables[t].rows.to_vector<std::int64_t>(), rows);
      ASSERT_EQ(one.tables[t].values.to_vector<float>(), values);
    }
    optim::add_squares(squares, result.tables[t].values, width);
  }
  EXPECT_EQ(result.squares, squares.value());
}

TEST(SparseGradients, FollowTheLaneTreeRowByRowOnAnyNumberOfRanks) {
  for (const int world : {1, 2, 3, 4, 7}) {
    SCOPED_TRACE(world);
    expect_the_tree({7, 1, 14}, world);
    expect_the_tree({12, 1, 12}, world);
  }
  expect_the_tree({1, 1, 1}, 1);
}

TEST(SparseGradients, FollowItWithAccumulationAndShortBatches) {
  for (const int world : {1, 2, 3, 4}) {
    SCOPED_TRACE(world);
    expect_the_tree({4, 3, 24}, world);
    expect_the_tree({7, 1, 3}, world);  // ranks without any leaf
    expect_the_tree({4, 2, 1}, world);
  }
}

TEST(SparseGradients, ScaleMultipliesEveryElement) {
  std::vector<Result> of_rank;
  comm::run_local(1, [&](comm::World ranks) {
    const std::vector<Tensor> tables = make_tables();
    SparseGradients gradients(*ranks.communicator(), {{"a", tables[0], tables[0].node(), 0}});
    StepPlans plans(0, 1);
    gradients.open_leaf();
    ops::embedding(tables[0], Array::from(std::vector<std::int64_t>{4}, {1})).backward(Array::full({1, 3}, 8));
    std::vector<bool> used;
    gradients.end_leaf(0, 0, used);
    gradients.reduce(plans.of({1, 1, 1}));
    gradients.scale(0.25);
    EXPECT_EQ(gradients.reduced(0).values.to_vector<float>(), (std::vector<float>{2, 2, 2}));
    gradients.reduce(plans.of({1, 1, 1}));
    EXPECT_EQ(gradients.reduced(0).count(), 0) << "a gradient of the last step is left";
  });
}

}  // namespace
}  // namespace trireme::strategies
