// A sparse table under the mirrored strategy: accumulation by hand, steps that leave it out, frozen tables.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>

#include "trireme/comm/environment.h"
#include "trireme/core/nn/embedding.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/reduce.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/strategies/fully_sharded/fully_sharded.h"
#include "trireme/strategies/mirrored/mirrored.h"

namespace trireme::strategies {
namespace {

class Model final : public nn::Module {
 public:
  Model()
      : table(add("table", nn::Embedding(6, 2, {.sparse = true, .init = nn::Init::constant(1)}))),
        head(add("head", nn::Linear(2, 1))) {}
  Tensor loss(const std::vector<std::int64_t>& rows) {
    return ops::mean(head(table(Array::from(rows, {static_cast<std::int64_t>(rows.size())}))));
  }
  Tensor loss_without_table() { return ops::mean(head(Tensor(Array::full({3, 2}, 1)))); }

  nn::Child<nn::Embedding> table;
  nn::Child<nn::Linear> head;
};

// Which rows have moved away from 1.
std::vector<std::int64_t> moved(const Model& model) {
  std::vector<std::int64_t> rows;
  for (std::int64_t row = 0; row < 6; ++row) {
    if (model.table->weight().array().select(0, row).to_vector<float>() != std::vector<float>{1, 1}) {
      rows.push_back(row);
    }
  }
  return rows;
}

void alone(const std::function<void(Model&, optim::AdamW&, Mirrored&)>& body,
           const std::function<void(Model&)>& before = {}) {
  comm::run_local(1, [&](comm::World world) {
    Model model;
    if (before) {
      before(model);
    }
    optim::AdamW adamw({.lr = 0.1, .weight_decay = 0.1});
    Mirrored strategy(world);
    strategy.prepare(model, adamw);
    body(model, adamw, strategy);
  });
}

TEST(SparseTable, PassesUnderNoSyncAddTheirRows) {
  alone([](Model& model, optim::AdamW& adamw, Mirrored& strategy) {
    adamw.zero_grad();
    {
      const auto accumulating = strategy.no_sync();
      model.loss({4, 0}).backward();
    }
    model.loss({2, 4}).backward();
    EXPECT_TRUE(strategy.step());
    EXPECT_EQ(moved(model), (std::vector<std::int64_t>{0, 2, 4}));
  });
}

TEST(SparseTable, AStepThatDoesNotTouchItLeavesItAndItsMomentsAlone) {
  alone([](Model& model, optim::AdamW& adamw, Mirrored& strategy) {
    model.loss({1}).backward();
    strategy.step();
    const std::vector<float> values = model.table->weight().array().to_vector<float>();
    const std::vector<float> moments = adamw.slots()[0].state[0].to_vector<float>();
    ASSERT_EQ(adamw.slots()[0].name, "table.weight");
    model.loss_without_table().backward();
    strategy.step();
    EXPECT_EQ(model.table->weight().array().to_vector<float>(), values);
    EXPECT_EQ(adamw.slots()[0].state[0].to_vector<float>(), moments);
  });
}

TEST(SparseTable, AFrozenOneStays) {
  alone(
      [](Model& model, optim::AdamW& /*adamw*/, Mirrored& strategy) {
        model.loss({1, 2}).backward();
        strategy.step();
        EXPECT_TRUE(moved(model).empty());
      },
      [](Model& model) {
        Tensor weight = model.table->weight();
        weight.set_requires_grad(false);
      });
}

TEST(SparseTable, IsAModelOfItsOwn) {
  comm::run_local(2, [](comm::World world) {
    for (const bool sharded : {false, true}) {
      nn::Embedding table(5, 3, {.sparse = true, .init = nn::Init::constant(1)});
      optim::AdamW adamw({.lr = 0.1});
      std::unique_ptr<Strategy> strategy;
      if (sharded) {
        strategy = std::make_unique<FullySharded>(world);
      } else {
        strategy = std::make_unique<Mirrored>(world);
      }
      strategy->prepare(table, adamw);
      for (int step = 0; step < 2; ++step) {
        ops::mean(table(Array::full({2}, 2 * world.rank(), DType::i64))).backward();
        EXPECT_TRUE(strategy->step());
      }
      const Array value = strategy->full_parameters()[0].tensor.array();
      for (const std::int64_t row : {0, 1, 2, 3, 4}) {
        EXPECT_EQ(value.select(0, row).select(0, 0).item() != 1, row == 0 || row == 2) << row;
      }
    }
  });
}

TEST(SparseTable, TheNormCountsItsRows) {
  alone([](Model& model, optim::AdamW& /*adamw*/, Mirrored& strategy) {
    const std::vector<float> weight = model.head->parameters()[0].tensor.array().to_vector<float>();
    model.loss({3, 3, 5, 0}).backward();
    strategy.step();
    // The mean over 4: row 3 gets weight / 2, rows 5 and 0 weight / 4; the head gets {1, 1} and 1.
    const double squares = weight[0] * weight[0] + weight[1] * weight[1];
    EXPECT_NEAR(strategy.report().grad_norm, std::sqrt(squares * (0.25 + 2.0 / 16) + 3), 1e-6);
  });
}

}  // namespace
}  // namespace trireme::strategies
