// Sparse tables on servers: a worker never holds a table, and in sync the bits are those of one process without
// servers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/strategies/parameter_server/job.h"
#include "tests/support/op_check.h"
#include "trireme/core/nn/models/recommender.h"
#include "trireme/core/optim/adagrad.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/strategies/mirrored/mirrored.h"
#include "trireme/strategies/parameter_server/server/row_index.h"
#include "trireme/strategies/parameter_server/server/sparse_table.h"

namespace trireme::strategies {
namespace {

using parameter_server::Consistency;

constexpr std::int64_t kRows = 60;
constexpr std::int64_t kCategories = 3;

nn::Recommender make_recommender() {
  return nn::Recommender({.rows = kRows, .dim = 4, .categories = kCategories, .dense = 2, .bottom = 5, .top = 6});
}

// Item i of a step, the same whoever asks: few rows are popular, most are never looked up.
Tensor loss_of_clicks(nn::Recommender& model, const BatchSplit& split, std::int64_t step, std::int64_t leaf) {
  const std::int64_t begin = split.begin_of(leaf);
  const std::int64_t items = split.items_of(leaf);
  const Array dense =
      test::random_array({64, 2}, static_cast<std::uint64_t>(step)).to(DType::f32).narrow(0, begin, items);
  const Array categories = Array::empty({items, kCategories}, DType::i64);
  const Array labels = Array::empty({items}, DType::f32);
  for (std::int64_t i = 0; i < items; ++i) {
    for (std::int64_t c = 0; c < kCategories; ++c) {
      const std::int64_t draw = ((begin + i) * 7 + c * 5 + step * 3) % 11;
      categories.data<std::int64_t>()[i * kCategories + c] = draw * draw % 40;
    }
    labels.data<float>()[i] = static_cast<float>((begin + i + step) % 2);
  }
  return model.loss(dense.clone(), categories, labels);
}

Task<nn::Recommender> clicks(std::function<std::unique_ptr<optim::Optimizer>()> optimizer) {
  return {make_recommender, std::move(optimizer), loss_of_clicks};
}

JobResult without_servers(const Task<nn::Recommender>& task, const Job& job) {
  JobResult result;
  comm::run_local(1, [&](comm::World ranks) {
    Mirrored strategy(ranks, {.seed = 3});
    result = train_steps(task, job, ranks, strategy);
  });
  return result;
}

class Tables : public testing::TestWithParam<const char*> {
 protected:
  static std::function<std::unique_ptr<optim::Optimizer>()> optimizer() {
    const std::string name = GetParam();
    if (name == "adamw") {
      return [] { return std::make_unique<optim::AdamW>(optim::AdamWOptions{.lr = 1e-2}); };
    }
    if (name == "adagrad") {
      return [] { return std::make_unique<optim::Adagrad>(); };
    }
    return [] { return std::make_unique<optim::RowwiseAdagrad>(); };
  }
};

TEST_P(Tables, SyncHasTheBitsOfOneProcessForAnyNumberOfServersAndWorkers) {
  const Task<nn::Recommender> task = clicks(optimizer());
  Job job{.batches = {16, 16, 5, 16}, .clip = 0.1};
  const JobResult expected = without_servers(task, job);
  for (job.servers = 1; job.servers <= 3; ++job.servers) {
    for (const int workers : {1, 2, 3, 4}) {
      job.workers = workers;
      job.options.partitioner = sharding::FixedShards{job.servers};
      const JobResult result = run_job(task, job);
      EXPECT_EQ(result.hashes, expected.hashes) << job.servers << " servers, " << workers << " workers";
      EXPECT_EQ(result.losses, expected.losses);
      EXPECT_EQ(result.norms, expected.norms);
    }
  }
}

TEST_P(Tables, OneWorkerIsTheSameUnderEveryConsistency) {
  const Task<nn::Recommender> task = clicks(optimizer());
  Job job{.servers = 2, .clip = 0.1};
  const JobResult expected = without_servers(task, job);
  for (const Consistency consistency : {Consistency::ssp, Consistency::async}) {
    job.options.consistency = consistency;
    EXPECT_EQ(run_job(task, job).hashes, expected.hashes);
  }
}

TEST_P(Tables, SeveralWorkersLearnUnderBoundedStaleness) {
  Job job{.servers = 2, .workers = 3, .batches = std::vector<std::int64_t>(30, 16)};
  job.options = {.consistency = Consistency::ssp, .staleness = 2};
  const JobResult result = run_job(clicks(optimizer()), job);
  EXPECT_LT(result.losses.back(), result.losses.front() + 0.1);
}

INSTANTIATE_TEST_SUITE_P(Optimizers, Tables, testing::Values("adamw", "adagrad", "rowwise_adagrad"),
                         [](const auto& info) { return std::string(info.param); });

TEST(RowIndex, NumbersRowsInTheOrderInWhichTheyAreAdded) {
  parameter_server::RowIndex index;
  EXPECT_EQ(index.find(5), -1);
  for (std::int64_t i = 0; i < 5000; ++i) {
    EXPECT_EQ(index.find_or_add(i * 1'000'003), i);
  }
  for (std::int64_t i = 0; i < 5000; ++i) {
    EXPECT_EQ(index.find_or_add(i * 1'000'003), i);
    EXPECT_EQ(index.find(i * 1'000'003 + 1), -1);
  }
  EXPECT_EQ(index.size(), 5000);
}

TEST(SparseTable, ReadingCreatesNoRowAndUntouchedRowsHaveTheValuesOfTheSeed) {
  const nn::Init init = nn::Init::normal(0, 1);
  parameter_server::SparseTable table({.name = "t", .init = init, .seed = 9, .row = 3, .states = {3, 1}});
  const std::vector<std::int64_t> rows{2, 3, 1'000'000'000};
  const Array values = Array::empty({9});
  table.read(rows, values);
  const Array expected = Array::empty({9});
  init.fill(9, "t", 6, expected.narrow(0, 0, 6));
  init.fill(9, "t", 3'000'000'000, expected.narrow(0, 6, 3));
  EXPECT_EQ(values.to_vector<float>(), expected.to_vector<float>());
  EXPECT_EQ(table.rows_in_memory(), 0);
}

TEST(SparseTable, WhatIsPutIsThereAndOnlyTouchedRowsTakeMemory) {
  parameter_server::SparseTable table({.name = "t", .row = 2, .states = {1}});
  const std::vector<std::int64_t> rows{7, 900};
  std::vector<float> values(4), state(2);
  float* states[] = {state.data()};
  table.take(rows, values.data(), states);
  EXPECT_EQ(state, (std::vector<float>{0, 0}));
  values = {1, 2, 3, 4};
  state = {5, 6};
  table.put(rows, values.data(), states);
  std::vector<float> read(4), read_state(2);
  float* read_states[] = {read_state.data()};
  table.take(rows, read.data(), read_states);
  EXPECT_EQ(read, values);
  EXPECT_EQ(read_state, state);
  EXPECT_EQ(table.rows_in_memory(), 2);
}

}  // namespace
}  // namespace trireme::strategies
