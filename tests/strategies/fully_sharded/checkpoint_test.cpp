// A run that stops and goes on with another strategy, stage and number of ranks ends with the bits of one that did not.
#include <gtest/gtest.h>

#include "tests/strategies/fully_sharded/tasks.h"
#include "tests/support/temp_dir.h"
#include "trireme/checkpoint/reader.h"
#include "trireme/checkpoint/writer.h"
#include "trireme/core/base/clock.h"
#include "trireme/core/base/filesystem.h"
#include "trireme/core/optim/adagrad.h"

namespace trireme::test {
namespace {

using strategies::FullyShardedOptions;

struct Leg {
  int world;
  Over over;
  std::optional<FullyShardedOptions> sharded;
};

void save(const std::string& directory, comm::World world, strategies::Strategy& strategy,
          optim::Optimizer& optimizer) {
  PosixFileSystem files;
  SteadyClock clock;
  checkpoint::Writer writer(files, clock,
                            {.directory = directory, .rank = world.rank(), .world_size = world.size(), .run_id = 7});
  sharding::TrainingPosition position;
  position.step = optimizer.steps();
  position.optimizer_steps = optimizer.steps();
  writer.save(position, strategy.state());
  writer.wait();
}

void load(const std::string& directory, strategies::Strategy& strategy, optim::Optimizer& optimizer) {
  PosixFileSystem files;
  auto reader = checkpoint::Reader::open_newest(files, directory);
  ASSERT_TRUE(reader);
  reader->load(strategy.state());
  strategy.state_written();
  optimizer.set_steps(reader->position().optimizer_steps);
}

// Two steps on each leg, handed on by checkpoints; the last leg's result.
Outcome run_legs(Job job, const std::vector<Leg>& legs) {
  const TempDir directory;
  Outcome last;
  for (std::size_t i = 0; i < legs.size(); ++i) {
    job.world = legs[i].world;
    job.over = legs[i].over;
    job.sharded = legs[i].sharded;
    job.first_step = 2 * static_cast<std::int64_t>(i);
    job.batches = {14, 14};
    job.before = [&, i](comm::World, strategies::Strategy& strategy, Task&, optim::Optimizer& optimizer) {
      if (i > 0) {
        load(directory / "run", strategy, optimizer);
      }
    };
    job.after = [&](comm::World world, strategies::Strategy& strategy, Task&, optim::Optimizer& optimizer) {
      save(directory / "run", world, strategy, optimizer);
    };
    last = run(job);
  }
  return last;
}

const std::vector<Leg> kLegs = {
    {3, Over::local, FullyShardedOptions{}},
    {2, Over::local, std::nullopt},
    {4, Over::shm, FullyShardedOptions{.zero_stage = 2}},
    {4, Over::local, FullyShardedOptions{.zero_stage = 2, .shard_group = 2}},
    {7, Over::local, FullyShardedOptions{.zero_stage = 1}},
    {4, Over::shm, FullyShardedOptions{.shard_group = 2, .cpu_offload = true}},
    {1, Over::local, std::nullopt},
};

void expect_undisturbed(Job job) {
  const Outcome last = run_legs(job, kLegs);
  job.batches.assign(2 * kLegs.size(), 14);
  EXPECT_EQ(last.hash, run(job).hash);
}

TEST(ShardedCheckpoint, GoesOnWithAnyStrategyAndNumberOfRanks) { expect_undisturbed({.lanes = 7}); }

TEST(ShardedCheckpoint, OfScalarsTinyAndFrozenParameters) { expect_undisturbed({.lanes = 7, .task = odd}); }

TEST(ShardedCheckpoint, OfRunningStatistics) { expect_undisturbed({.lanes = 7, .task = resnet}); }

TEST(ShardedCheckpoint, OfStateByRows) {
  Job job{.lanes = 7, .task = table};
  job.optimizer = [] { return std::make_unique<optim::RowwiseAdagrad>(); };
  expect_undisturbed(job);
}

}  // namespace
}  // namespace trireme::test
