// The Trainer on a model of a few numbers: what happens when, and that ranks agree.
#include "trireme/training/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <mutex>
#include <set>

#include "tests/support/temp_dir.h"
#include "trireme/comm/environment.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/nn/sequential.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/core/optim/sgd.h"
#include "trireme/strategies/mirrored/mirrored.h"
#include "trireme/training/evaluate.h"

namespace trireme::training {
namespace {

// Item i: a point whose class is its largest coordinate.
class Points final : public data::Dataset {
 public:
  explicit Points(std::int64_t count) : count_(count) {}
  std::int64_t count() const override { return count_; }
  void fetch(std::span<const std::int64_t> items, data::Batch& batch) const override {
    batch.items = static_cast<std::int64_t>(items.size());
    data::make_room(batch.inputs, {batch.items, 3}, DType::f32);
    data::make_room(batch.labels, {batch.items}, DType::u8);
    for (std::size_t i = 0; i < items.size(); ++i) {
      const std::int64_t label = items[i] % 3;
      for (std::int64_t d = 0; d < 3; ++d) {
        const auto noise = static_cast<float>(items[i] * (d + 1) % 7) / 10.0f;
        batch.inputs.data<float>()[static_cast<std::int64_t>(i) * 3 + d] = noise + (d == label ? 1.0f : 0.0f);
      }
      batch.labels.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(label);
    }
  }

 private:
  std::int64_t count_;
};

// One rank's model, strategy and loader over 20 points in batches of 6: 4 steps an epoch, the last with 2 items.
struct Rank {
  explicit Rank(comm::World world, std::int64_t lanes = 6)
      : model(nn::Linear(3, 3)),
        sgd({.lr = 0.5}),
        strategy(world, {.seed = 1}),
        loader(Points(20), {.batch_size = 6, .lanes = lanes, .seed = 2}, world) {}

  FitResult fit(TrainerOptions options) {
    options.progress = ProgressMode::off;
    trainer = std::make_unique<Trainer>(model, sgd, strategy, std::move(options));
    return trainer->fit(loader);
  }

  nn::Sequential model;
  optim::SGD sgd;
  strategies::Mirrored strategy;
  data::Loader loader;
  std::unique_ptr<Trainer> trainer;
};

// Runs `body` on ranks as threads; all must give the same result, which is returned.
FitResult on_ranks(int ranks, const std::function<FitResult(Rank&)>& body) {
  std::vector<FitResult> results(static_cast<std::size_t>(ranks));
  comm::run_local(ranks, [&](comm::World world) {
    Rank rank(world);
    results[static_cast<std::size_t>(world.rank())] = body(rank);
  });
  for (const FitResult& result : results) {
    EXPECT_EQ(result.steps, results[0].steps);
    EXPECT_EQ(result.params_hash, results[0].params_hash);
    EXPECT_EQ(result.reason, results[0].reason);
  }
  return results[0];
}

TEST(Trainer, TrainsEpochsAndTellsEachStepAndEpoch) {
  on_ranks(1, [](Rank& rank) {
    std::vector<std::int64_t> steps;
    std::vector<std::int64_t> epochs;
    std::vector<double> weights;
    const FitResult result = rank.fit({.epochs = 2,
                                       .on_step_end =
                                           [&](const StepEnd& end) {
                                             steps.push_back(end.step);
                                             weights.push_back(end.report.weight);
                                             EXPECT_EQ(end.learning_rate, 0.5);
                                           },
                                       .on_epoch_end =
                                           [&](const EpochEnd& end) {
                                             epochs.push_back(end.epoch);
                                             EXPECT_EQ(end.steps, 4 * (end.epoch + 1));
                                             EXPECT_FALSE(end.test.has_value());
                                           }});
    EXPECT_EQ(result.steps, 8);
    EXPECT_EQ(result.reason, StopReason::finished);
    EXPECT_FALSE(result.saved);
    EXPECT_EQ(steps, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(epochs, (std::vector<std::int64_t>{0, 1}));
    EXPECT_EQ(weights, (std::vector<double>{6, 6, 6, 2, 6, 6, 6, 2}));
    return result;
  });
}

TEST(Trainer, HasTheSameBitsOnAnyRanksAlsoWhenSomeHaveNothingInAShortBatch) {
  const auto train = [](Rank& rank) { return rank.fit({.steps = 9}); };
  const std::string expected = on_ranks(1, train).params_hash;
  for (const int ranks : {2, 3, 4, 6}) {
    EXPECT_EQ(on_ranks(ranks, train).params_hash, expected) << ranks << " ranks";
  }
}

TEST(Trainer, EachRankComputesOnlyItsOwnLanes) {
  std::mutex mutex;
  std::map<std::int64_t, std::vector<std::int64_t>> leaves_of_rank;  // of the first step
  on_ranks(3, [&](Rank& rank) {
    const int me = rank.strategy.communicator().rank();
    return rank.fit({.steps = 1, .loss = [&, me](const data::Batch& batch) {
                       const std::lock_guard lock(mutex);
                       leaves_of_rank[me].push_back(step_context().leaf);
                       EXPECT_EQ(batch.items, 1);
                       return ops::cross_entropy(rank.model(batch.inputs), batch.labels);
                     }});
  });
  EXPECT_EQ(leaves_of_rank[0], (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(leaves_of_rank[1], (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(leaves_of_rank[2], (std::vector<std::int64_t>{4, 5}));
}

TEST(Trainer, TheLoopByHandGivesTheSameBits) {
  const FitResult expected = on_ranks(1, [](Rank& rank) { return rank.fit({.epochs = 1}); });
  on_ranks(3, [&](Rank& rank) {
    rank.strategy.prepare(rank.model, rank.sgd);
    for (auto& batch : rank.loader) {
      rank.sgd.zero_grad();
      Tensor loss = ops::cross_entropy(rank.model(batch.inputs), batch.labels);
      loss.backward();
      rank.strategy.step();
    }
    FitResult result = expected;
    result.params_hash = strategies::params_hash(rank.strategy.full_parameters());
    EXPECT_EQ(result.params_hash, expected.params_hash);
    return result;
  });
}

TEST(Trainer, MeasuresTheTestSetInEvaluationModeAfterEachEpoch) {
  on_ranks(2, [](Rank& rank) {
    const Points test(15);
    std::vector<double> shares;
    const FitResult result =
        rank.fit({.epochs = 6,
                  .evaluate =
                      [&] {
                        EXPECT_FALSE(rank.model.training());
                        return measure_accuracy(rank.model, test, rank.strategy, 4);
                      },
                  .on_epoch_end = [&](const EpochEnd& end) { shares.push_back(end.test.value().watched()); }});
    EXPECT_TRUE(rank.model.training());
    EXPECT_EQ(shares.size(), 6u);
    EXPECT_GT(shares.back(), 0.9);
    return result;
  });
}

TEST(Trainer, ACallbackOnOneRankStopsAllAfterTheSameStep) {
  for (const int ranks : {1, 2, 3}) {
    const FitResult result = on_ranks(ranks, [&](Rank& rank) {
      const bool mine = rank.strategy.communicator().rank() == ranks - 1;
      return rank.fit({.steps = 100, .on_step_end = [&](const StepEnd& end) {
                         if (mine && end.step == 5) {
                           rank.trainer->stop();
                         }
                       }});
    });
    EXPECT_EQ(result.reason, StopReason::requested);
    EXPECT_EQ(result.steps, ranks == 1 ? 6 : 7);
  }
}

TEST(Trainer, StopsEarlyWithoutImprovement) {
  const FitResult result = on_ranks(2, [](Rank& rank) {
    rank.sgd.set_learning_rate(0);
    return rank.fit({.epochs = 50, .early_stopping = EarlyStoppingOptions{.patience = 2, .min_delta = 1}});
  });
  EXPECT_EQ(result.reason, StopReason::requested);
  EXPECT_LE(result.steps, 13);
}

// Its patience and the losses of the epoch in progress are part of the run: stopped anywhere and gone on with, it ends
// after the same step with the same bits.
TEST(Trainer, StopsEarlyAtTheSameStepHoweverOftenItWasInterrupted) {
  const EarlyStoppingOptions stopping{.patience = 3, .min_delta = 0.05};
  const FitResult whole = on_ranks(1, [&](Rank& rank) { return rank.fit({.epochs = 50, .early_stopping = stopping}); });
  EXPECT_EQ(whole.reason, StopReason::requested);
  ASSERT_GT(whole.steps, 20);
  for (const std::int64_t first : {whole.steps - 4, whole.steps - 6, whole.steps - 9}) {
    const test::TempDir dir;
    const auto go_on = [&](Rank& rank, std::int64_t until) {
      return rank.fit({.epochs = 50,
                       .checkpoints = {.directory = dir.path()},
                       .early_stopping = stopping,
                       .on_step_end = [&, until](const StepEnd& end) {
                         if (end.step + 1 == until) {
                           rank.trainer->stop();
                         }
                       }});
    };
    EXPECT_EQ(on_ranks(1, [&](Rank& rank) { return go_on(rank, first); }).steps, first);
    const FitResult rest = on_ranks(1, [&](Rank& rank) { return go_on(rank, -1); });
    EXPECT_EQ(rest.steps, whole.steps);
    EXPECT_EQ(rest.params_hash, whole.params_hash);
    const FitResult after = on_ranks(1, [&](Rank& rank) { return go_on(rank, -1); });
    EXPECT_EQ(after.steps, whole.steps) << "a run that has stopped early does not begin anew";
    EXPECT_EQ(after.reason, StopReason::requested);
  }
}

TEST(Trainer, FollowsTheScheduleOfTheWholeRun) {
  on_ranks(1, [](Rank& rank) {
    std::vector<double> rates;
    const FitResult result = rank.fit(
        {.steps = 4,
         .schedule =
             optim::Schedule{
                 .kind = optim::Schedule::Kind::linear, .peak = 1, .final = 0, .warmup_steps = 2, .total_steps = 0},
         .on_step_end = [&](const StepEnd& end) { rates.push_back(end.learning_rate); }});
    const optim::Schedule same{
        .kind = optim::Schedule::Kind::linear, .peak = 1, .final = 0, .warmup_steps = 2, .total_steps = 4};
    EXPECT_EQ(rates, (std::vector<double>{same(0), same(1), same(2), same(3)}));
    return result;
  });
}

TEST(Trainer, SavesAndGoesOnWithTheSameBitsOnAnotherWorld) {
  const std::string expected = on_ranks(1, [](Rank& rank) { return rank.fit({.steps = 11}); }).params_hash;
  for (const auto& [first, second] : std::vector<std::pair<int, int>>{{1, 2}, {3, 1}, {2, 4}}) {
    const test::TempDir dir;
    std::mutex mutex;
    std::multiset<std::int64_t> saves;
    const auto part = [&](std::int64_t steps) {
      return [&, steps](Rank& rank) {
        return rank.fit({.steps = steps,
                         .checkpoints = {.directory = dir.path(), .save_every = 3},
                         .on_save = [&](std::int64_t at) {
                           const std::lock_guard lock(mutex);
                           saves.insert(at);
                         }});
      };
    };
    EXPECT_TRUE(on_ranks(first, part(5)).saved);
    EXPECT_EQ(saves.count(3), static_cast<std::size_t>(first));
    EXPECT_EQ(saves.count(5), static_cast<std::size_t>(first));
    const FitResult result = on_ranks(second, part(11));
    EXPECT_EQ(result.steps, 11);
    EXPECT_EQ(result.params_hash, expected) << first << " -> " << second;
  }
}

TEST(Trainer, ASignalSavesAndEndsTheRun) {
  const test::TempDir dir;
  const FitResult result = on_ranks(2, [&](Rank& rank) {
    const bool mine = rank.strategy.communicator().rank() == 0;
    return rank.fit({.steps = 1000, .checkpoints = {.directory = dir.path()}, .on_step_end = [&](const StepEnd& end) {
                       if (mine && end.step == 2) {
                         raise(SIGTERM);
                       }
                     }});
  });
  EXPECT_EQ(result.reason, StopReason::signal);
  EXPECT_TRUE(result.saved);
  EXPECT_LT(result.steps, 10);
}

TEST(Trainer, AnotherRunsCheckpointIsAUsageError) {
  const test::TempDir dir;
  const TrainerOptions options{.steps = 2, .checkpoints = {.directory = dir.path()}};
  on_ranks(1, [&](Rank& rank) { return rank.fit(options); });
  comm::run_local(1, [&](comm::World world) {
    Rank rank(world, 3);
    try {
      rank.fit({.steps = 4, .checkpoints = {.directory = dir.path()}});
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_THAT(error.what(), testing::HasSubstr("--lanes 6, 3 given"));
    }
  });
}

TEST(CountRight, TheFirstLargestScoreDecides) {
  const Array scores = Array::from(std::vector<float>{1, 2, 0, 5, 5, 1, 0, 0, 9}, {3, 3});
  EXPECT_EQ(count_right(scores, Array::from(std::vector<std::int64_t>{1, 0, 2}, {3})), 3);
  EXPECT_EQ(count_right(scores, Array::from(std::vector<std::uint8_t>{0, 1, 2}, {3})), 1);
}

}  // namespace
}  // namespace trireme::training
