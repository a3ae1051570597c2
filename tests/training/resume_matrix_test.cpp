// Save on {1, 2, 3, 4} ranks x {mirrored, ZeRO 1, 2, 3}, go on with every other combination: the parameters, buffers
// and optimizer state of a run that was never interrupted, bit for bit. Ranks are threads.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <map>
#include <thread>

#include "tests/support/temp_dir.h"
#include "trireme/checkpoint/reader.h"
#include "trireme/comm/environment.h"
#include "trireme/core/base/filesystem.h"
#include "trireme/core/base/log.h"
#include "trireme/core/base/random.h"
#include "trireme/core/nn/activation.h"
#include "trireme/core/nn/batch_norm.h"
#include "trireme/core/nn/linear.h"
#include "trireme/core/nn/sequential.h"
#include "trireme/core/optim/adamw.h"
#include "trireme/strategies/fully_sharded/fully_sharded.h"
#include "trireme/strategies/mirrored/mirrored.h"
#include "trireme/training/trainer.h"

namespace trireme::training {
namespace {

constexpr std::int64_t kSavedAfter = 3;  // in the middle of an epoch of 5 steps
constexpr std::int64_t kSteps = 6;       // of the next

struct Layout {
  int ranks = 1;
  int stage = 0;  // 0: mirrored
  int shard_group = 0;
};

std::string name_of(const Layout& layout) {
  return std::to_string(layout.ranks) + (layout.stage == 0 ? "_mirrored" : "_zero" + std::to_string(layout.stage)) +
         (layout.shard_group == 0 ? "" : "_groups_of_" + std::to_string(layout.shard_group));
}

std::vector<Layout> all_layouts() {
  std::vector<Layout> layouts;
  for (const int ranks : {1, 2, 3, 4}) {
    for (const int stage : {0, 1, 2, 3}) {
      layouts.push_back({ranks, stage});
    }
  }
  return layouts;
}

// Item i: numbers that are a function of i, and one of three labels.
class Points final : public data::Dataset {
 public:
  std::int64_t count() const override { return 110; }  // the fifth batch of an epoch is short
  void fetch(std::span<const std::int64_t> items, data::Batch& batch) const override {
    const RandomStream random(3, "points");
    batch.items = static_cast<std::int64_t>(items.size());
    data::make_room(batch.inputs, {batch.items, 3}, DType::f32);
    data::make_room(batch.labels, {batch.items}, DType::u8);
    for (std::size_t i = 0; i < items.size(); ++i) {
      for (std::size_t d = 0; d < 3; ++d) {
        const auto place = static_cast<std::uint64_t>(items[i]) * 3 + d;
        batch.inputs.data<float>()[i * 3 + d] = static_cast<float>(random.below(place, 2001)) / 1000.0f - 1.0f;
      }
      batch.labels.data<std::uint8_t>()[i] = static_cast<std::uint8_t>(items[i] % 3);
    }
  }
};

std::unique_ptr<strategies::Strategy> make_strategy(const comm::World& world, const Layout& layout) {
  if (layout.stage == 0) {
    return std::make_unique<strategies::Mirrored>(world, strategies::MirroredOptions{.seed = 1});
  }
  // Linear, batch normalization and linear are units; sizes that no number of ranks divides.
  return std::make_unique<strategies::FullySharded>(
      world, strategies::FullyShardedOptions{.seed = 1,
                                             .zero_stage = layout.stage,
                                             .shard_group = layout.shard_group,
                                             .units = std::vector<std::string>{"0", "1", "3"}});
}

// One rank of a run: a model whose sizes no number of ranks divides, with running statistics.
struct Rank {
  Rank(const comm::World& world, const Layout& layout)
      : model(nn::Linear(3, 7), nn::BatchNorm1d(7), nn::ReLU(), nn::Linear(7, 3)),
        adamw({.lr = 0.05}),
        strategy(make_strategy(world, layout)),
        loader(Points(), {.batch_size = 24, .lanes = 6, .seed = 2}, world) {}

  FitResult fit(std::int64_t steps, const CheckpointOptions& checkpoints) {
    TrainerOptions options{.steps = steps,
                           .schedule = optim::Schedule{.kind = optim::Schedule::Kind::cosine,
                                                       .peak = 0.05,
                                                       .final = 0.01,
                                                       .warmup_steps = 2,
                                                       .total_steps = kSteps},
                           .checkpoints = checkpoints,
                           .progress = ProgressMode::off,
                           .on_step_end = on_step_end};
    strategy->clip_grad_norm(0.5);
    trainer = std::make_unique<Trainer>(model, adamw, *strategy, std::move(options));
    return trainer->fit(loader);
  }

  nn::Sequential model;
  optim::AdamW adamw;
  std::unique_ptr<strategies::Strategy> strategy;
  data::Loader loader;
  std::unique_ptr<Trainer> trainer;
  std::function<void(const StepEnd&)> on_step_end = {};
};

// Every tensor of a run's state, whole.
struct Expected {
  std::string hash;
  std::map<std::string, Array> state;
};

std::int64_t rows_of(const Array& array) { return array.dims() == 0 ? 1 : array.size(0); }

// Whether the rows are those of the whole tensor, bit for bit.
bool same_rows(const sharding::StateTensor& tensor, const Array& whole) {
  const std::uint64_t row_bytes = rows_of(whole) == 0 ? 0 : whole.bytes() / static_cast<std::uint64_t>(rows_of(whole));
  const Array rows = tensor.rows.contiguous();
  return rows.bytes() == row_bytes * static_cast<std::uint64_t>(rows_of(rows)) &&
         std::memcmp(rows.bytes_data(), whole.bytes_data() + static_cast<std::uint64_t>(tensor.row_begin) * row_bytes,
                     rows.bytes()) == 0;
}

void expect_state(strategies::Strategy& strategy, const Expected& expected, const std::string& what) {
  std::size_t found = 0;
  for (const sharding::StateTensor& tensor : strategy.state()) {
    const auto whole = expected.state.find(tensor.name);
    ASSERT_NE(whole, expected.state.end()) << what << ": " << tensor.name;
    EXPECT_TRUE(same_rows(tensor, whole->second)) << what << ": " << tensor.name;
    ++found;
  }
  EXPECT_EQ(found, expected.state.size()) << what;
}

// Trains on the layout's ranks; `after` runs on each.
void train(const Layout& layout, std::int64_t steps, const CheckpointOptions& checkpoints,
           const std::function<void(Rank&, const FitResult&)>& after = {}) {
  comm::run_local(layout.ranks, [&](const comm::World& world) {
    Rank rank(world, layout);
    std::int64_t begun = 0;
    rank.on_step_end = [&](const StepEnd&) { ++begun; };
    const FitResult result = rank.fit(steps, checkpoints);
    EXPECT_EQ(result.steps, steps);
    EXPECT_EQ(begun, checkpoints.resume == "auto" ? steps : steps - kSavedAfter);
    if (after) {
      after(rank, result);
    }
  });
}

// The run that was never interrupted.
Expected undisturbed(std::int64_t steps) {
  Expected expected;
  train({1, 0}, steps, {}, [&](Rank& rank, const FitResult& result) {
    expected.hash = result.params_hash;
    for (const sharding::StateTensor& tensor : rank.strategy->state()) {
      expected.state[tensor.name] = tensor.rows.clone();
    }
  });
  return expected;
}

class Quiet : public testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::warning); }
  void TearDown() override { log::set_level(log::Level::info); }
};

// Goes on from a checkpoint with a layout, and compares.
void expect_goes_on(const std::string& saved, const Layout& layout, const Expected& expected) {
  train(layout, kSteps, {.resume = saved}, [&](Rank& rank, const FitResult& result) {
    EXPECT_EQ(result.params_hash, expected.hash) << name_of(layout);
    expect_state(*rank.strategy, expected, name_of(layout));
  });
}

class ResumeMatrix : public Quiet, public testing::WithParamInterface<Layout> {};

TEST_P(ResumeMatrix, EveryOtherLayoutGoesOnWithTheSameBits) {
  const Expected expected = undisturbed(kSteps);
  ASSERT_GE(expected.state.size(), 6u * 3 + 2) << "parameters, two moments of each, and statistics";
  const test::TempDir dir;
  train(GetParam(), kSavedAfter, {.directory = dir.path()});
  for (const Layout& layout : all_layouts()) {
    expect_goes_on(dir.path(), layout, expected);
  }
}

INSTANTIATE_TEST_SUITE_P(SavedOn, ResumeMatrix, testing::ValuesIn(all_layouts()),
                         [](const auto& info) { return name_of(info.param); });

class Resume : public Quiet {};

TEST_F(Resume, HybridShardsAreSavedOnceAndLoadedByAll) {
  const Expected expected = undisturbed(kSteps);
  const std::vector<Layout> hybrids = {{4, 1, 2}, {4, 2, 2}, {4, 3, 2}};
  for (const Layout& hybrid : hybrids) {
    const test::TempDir dir;
    train(hybrid, kSavedAfter, {.directory = dir.path()});
    for (const Layout& layout : {hybrids[0], hybrids[2], Layout{3, 3}, Layout{2, 0}}) {
      expect_goes_on(dir.path(), layout, expected);
    }
  }
  const test::TempDir dir;
  train({3, 2}, kSavedAfter, {.directory = dir.path()});
  for (const Layout& hybrid : hybrids) {
    expect_goes_on(dir.path(), hybrid, expected);
  }
}

// A run that was told to stop is still saving while the next one starts: that one waits, and misses nothing.
TEST_F(Resume, ARunThatStartsWhileTheOneBeforeIsEndingGoesOnFromItsLastCheckpoint) {
  const test::TempDir dir;
  const CheckpointOptions checkpoints{.directory = dir.path()};
  std::jthread next;
  std::atomic<std::int64_t> gone_on_from{-1};
  comm::run_local(1, [&](const comm::World& world) {
    Rank rank(world, {1, 0});
    rank.on_step_end = [&](const StepEnd& end) {
      if (end.step + 1 == kSavedAfter) {
        next = std::jthread([&] {
          EXPECT_NO_THROW(comm::run_local(1, [&](const comm::World& other) {
            Rank second(other, {1, 0});
            second.on_step_end = [&](const StepEnd& first) {
              std::int64_t none = -1;
              gone_on_from.compare_exchange_strong(none, first.step);
            };
            second.fit(kSteps, checkpoints);
          }));
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    };
    rank.fit(kSavedAfter, checkpoints);
  });
  next.join();
  EXPECT_EQ(gone_on_from, kSavedAfter);
}

// Loads what `wanted` chooses by name into a run that has trained on, and tells what became of the rest.
void expect_only(const Layout& saved, const Layout& layout, const std::function<bool(const std::string&)>& wanted) {
  const Expected from_checkpoint = undisturbed(kSavedAfter);
  const Expected own = undisturbed(kSteps);
  const test::TempDir dir;
  train(saved, kSavedAfter, {.directory = dir.path()});
  train(layout, kSteps, {}, [&](Rank& rank, const FitResult&) {
    PosixFileSystem files;
    auto chosen = rank.strategy->state();
    std::erase_if(chosen, [&](const sharding::StateTensor& tensor) { return !wanted(tensor.name); });
    ASSERT_FALSE(chosen.empty());
    checkpoint::Reader::open_path(files, dir.path(), checkpoint::Verify::when_loaded).load(chosen);
    rank.strategy->state_written();
    Expected mixed = own;
    for (auto& [name, values] : mixed.state) {
      values = wanted(name) ? from_checkpoint.state.at(name) : values;
    }
    expect_state(*rank.strategy, mixed, name_of(layout));
  });
}

TEST_F(Resume, OfTheModelOnlyLeavesTheOptimizerAlone) {
  const auto model = [](const std::string& name) { return name.starts_with("model."); };
  expect_only({2, 3}, {3, 0}, model);
  expect_only({3, 0}, {2, 2}, model);
  expect_only({4, 1}, {4, 3, 2}, model);
}

TEST_F(Resume, OfSomeNamesLeavesTheOthersAlone) {
  const auto one_layer = [](const std::string& name) { return name.find(".3.weight") != std::string::npos; };
  expect_only({4, 3}, {3, 3}, one_layer);
  expect_only({1, 0}, {2, 1}, one_layer);
}

}  // namespace
}  // namespace trireme::training
