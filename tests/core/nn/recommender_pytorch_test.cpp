// The recommender beside PyTorch's, with Embedding(sparse=True). Skipped, with the reason, where there is none.
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/core/nn/recommender_steps.h"
#include "tests/support/python.h"
#include "tests/support/temp_dir.h"
#include "trireme/core/optim/adagrad.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/core/optim/sgd.h"

namespace trireme::nn {
namespace {

constexpr std::int64_t kSteps = 25, kItems = 32;

template <class T>
nlohmann::json rows_of(const Array& array) {
  nlohmann::json rows = nlohmann::json::array();
  for (std::int64_t i = 0; i < array.size(0); ++i) {
    rows.push_back(array.select(0, i).to_vector<T>());
  }
  return rows;
}

void expect_pytorchs_losses(const std::string& name, double lr, Interaction interaction,
                            std::unique_ptr<optim::Optimizer> optimizer) {
  const RecommenderOptions options{
      .rows = 60, .dim = 6, .categories = 4, .dense = 3, .interaction = interaction, .bottom = 8, .top = 12};
  Recommender model(options);
  model.initialize(5);
  nlohmann::json job{
      {"optimizer", name}, {"lr", lr}, {"interaction", interaction == Interaction::dot ? "dot" : "concat"}};
  for (const NamedParameter& parameter : model.parameters()) {
    const Array& value = parameter.tensor.array();
    job["parameters"][parameter.name] = {
        {"shape", std::vector<std::int64_t>(value.shape().begin(), value.shape().end())},
        {"values", value.to_vector<double>()}};
  }
  test::RecommenderSteps steps(model, std::move(optimizer));
  std::vector<double> ours;
  for (std::int64_t step = 0; step < kSteps; ++step) {
    const data::Batch batch = test::clicks_of(options, step * kItems, kItems);
    job["batches"].push_back({{"dense", rows_of<double>(batch.inputs)},
                              {"rows", rows_of<std::int64_t>(batch.categories)},
                              {"labels", batch.labels.to_vector<double>()}});
    ours.push_back(steps.step(batch));
  }
  const test::TempDir dir;
  std::ofstream(dir / "job.json") << job.dump();
  const test::PythonResult theirs = test::run_python("tests/interop/recommender.py", {dir / "job.json"});
  ASSERT_EQ(theirs.exit_code, 0) << theirs.err;
  std::istringstream lines(theirs.out);
  for (std::size_t step = 0; step < ours.size(); ++step) {
    double loss = 0;
    ASSERT_TRUE(lines >> loss) << theirs.out;
    EXPECT_NEAR(ours[step], loss, 2e-5 * loss) << name << ", step " << step;
  }
}

TEST(RecommenderPyTorch, TheSameStartAndClicksHaveTheSameLosses) {
  if (const std::string reason = test::missing_packages("torch"); !reason.empty()) {
    GTEST_SKIP() << reason;
  }
  expect_pytorchs_losses("sgd", 0.1, Interaction::dot, std::make_unique<optim::SGD>(optim::SGDOptions{.lr = 0.1}));
  expect_pytorchs_losses("adagrad", 0.05, Interaction::concat,
                         std::make_unique<optim::Adagrad>(optim::AdagradOptions{.lr = 0.05}));
  expect_pytorchs_losses(
      "adamw", 1e-3, Interaction::dot,
      std::make_unique<optim::AdamW>(optim::AdamWOptions{.lr = 1e-3, .eps = 1e-12, .weight_decay = 0}));
}

}  // namespace
}  // namespace trireme::nn
