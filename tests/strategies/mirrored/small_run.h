// A classifier small enough to train in microseconds, on data that is a function of step and item.
#pragma once

#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "tests/support/lane_loop.h"
#include "tests/support/op_check.h"
#include "trireme/comm/environment.h"
#include "trireme/core/nn/activation.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/nn/sequential.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/strategies/mirrored/mirrored.h"

namespace trireme::strategies {

constexpr std::int64_t kFeatures = 5;
constexpr std::int64_t kClasses = 3;

inline nn::Sequential make_model() {
  return nn::Sequential(nn::Linear(kFeatures, 7), nn::ReLU(), nn::Linear(7, kClasses));
}

// Item i of step s, the same whoever asks.
inline Array inputs_of(std::int64_t step, std::int64_t begin, std::int64_t items) {
  return test::random_array({64, kFeatures}, static_cast<std::uint64_t>(1000 + step))
      .to(DType::f32)
      .narrow(0, begin, items)
      .clone();
}
inline Array labels_of(std::int64_t step, std::int64_t begin, std::int64_t items) {
  Array labels = Array::empty({items}, DType::i64);
  for (std::int64_t i = 0; i < items; ++i) {
    labels.data<std::int64_t>()[i] = (step * 7 + (begin + i) * 5) % kClasses;
  }
  return labels;
}

inline Tensor loss_of(nn::Module& model, const BatchSplit& split, std::int64_t step, std::int64_t leaf) {
  const std::int64_t begin = split.begin_of(leaf);
  const std::int64_t items = split.items_of(leaf);
  return ops::cross_entropy(model(Tensor(inputs_of(step, begin, items))), labels_of(step, begin, items));
}

struct Outcome {
  std::string hash;
  std::vector<float> values;  // of all parameters
  std::vector<double> losses;
  std::vector<double> norms;
  std::set<std::int64_t> leaves;  // that rank 0 ran
};

// Trains `steps` steps on `world` ranks as threads; every rank must end with the same hash.
inline Outcome train(int world, std::int64_t lanes, std::int64_t accumulate, const std::vector<std::int64_t>& batches,
                     double clip = 0, comm::ReduceOrder order = comm::ReduceOrder::canonical) {
  Outcome outcome;
  std::set<std::string> hashes;
  std::mutex mutex;
  comm::run_local(world, [&](comm::World ranks) {
    auto model = make_model();
    optim::AdamW adamw({.lr = 1e-2});
    Mirrored strategy(ranks, {.seed = 3, .reduce_order = order});
    strategy.prepare(model, adamw);
    strategy.clip_grad_norm(clip);
    std::set<std::int64_t> mine;
    std::vector<double> losses;
    std::vector<double> norms;
    for (std::size_t step = 0; step < batches.size(); ++step) {
      const BatchSplit split{lanes, accumulate, batches[step]};
      test::run_step(split, static_cast<std::int64_t>(step), ranks.rank(), ranks.size(), [&](std::int64_t leaf) {
        mine.insert(leaf);
        adamw.zero_grad();
        loss_of(model, split, static_cast<std::int64_t>(step), leaf).backward();
        EXPECT_EQ(strategy.step(), step_context().last_leaf_of_rank);
      });
      losses.push_back(strategy.report().loss);
      norms.push_back(strategy.report().grad_norm);
    }
    const std::lock_guard lock(mutex);
    hashes.insert(params_hash(strategy.full_parameters()));
    if (ranks.rank() == 0) {
      outcome = {"", {}, losses, norms, mine};
      for (const nn::NamedParameter& parameter : strategy.full_parameters()) {
        const std::vector<float> values = parameter.tensor.array().to_vector<float>();
        outcome.values.insert(outcome.values.end(), values.begin(), values.end());
      }
    }
  });
  EXPECT_EQ(hashes.size(), 1u) << "ranks ended with different parameters";
  outcome.hash = *hashes.begin();
  return outcome;
}

}  // namespace trireme::strategies
