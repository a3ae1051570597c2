// A narrower reduce_dtype: what is rounded, and what travels.
#include <gtest/gtest.h>

#include <mutex>

#include "tests/strategies/fully_sharded/tasks.h"

namespace trireme::test {
namespace {

using strategies::FullyShardedOptions;

struct Way {
  int world;
  Over over;
  FullyShardedOptions options;
};

// Of four ranks, and of others.
const std::vector<Way>& ways() {
  static const std::vector<Way> all = {
      {4, Over::shm, {}},
      {4, Over::shm, {.zero_stage = 1}},
      {4, Over::shm, {.share_memory = false}},
      {4, Over::local, {.zero_stage = 1}},
      {4, Over::local, {.zero_stage = 2}},
      {4, Over::local, {.cpu_offload = true}},
      {4, Over::shm, {.shard_group = 2}},
      {4, Over::local, {.zero_stage = 1, .shard_group = 2}},
      {1, Over::local, {}},
      {3, Over::local, {}},
      {7, Over::shm, {.zero_stage = 1}},
      {6, Over::local, {.zero_stage = 2, .shard_group = 3}},
  };
  return all;
}

TEST(FullyShardedReduceDtype, RoundsEachLaneWhateverTheShape) {
  Job job{.lanes = 7, .batches = {14, 14, 3, 14}};
  const Outcome exact = run(job);
  job.sharded = FullyShardedOptions{.reduce_dtype = DType::bf16};
  const Outcome rounded = run(job);
  EXPECT_NE(rounded.hash, exact.hash);
  EXPECT_NEAR(rounded.norms[0], exact.norms[0], 4e-3 * exact.norms[0]);
  for (const Way& way : ways()) {
    job.world = way.world;
    job.over = way.over;
    job.sharded = way.options;
    job.sharded->reduce_dtype = DType::bf16;
    EXPECT_EQ(run(job), rounded) << "way " << &way - ways().data();
  }
}

// Four ranks with two lanes each: the sum of a rank's lanes is rounded, and the sum of ranks; in one group these are
// the same numbers in every stage and home.
TEST(FullyShardedReduceDtype, InFastOrderRoundsTheSumsOfRanks) {
  Job job{.world = 4, .lanes = 8, .batches = {16, 16, 3, 16}};
  const Outcome exact = run(job);
  std::optional<Outcome> first;
  for (const Way& way : ways()) {
    if (way.world != 4) {
      continue;
    }
    job.over = way.over;
    job.sharded = way.options;
    job.sharded->reduce_dtype = DType::bf16;
    job.sharded->reduce_order = comm::ReduceOrder::fast;
    const Outcome rounded = run(job);
    EXPECT_EQ(run(job), rounded);
    EXPECT_NE(rounded.hash, exact.hash);
    EXPECT_NEAR(rounded.norms[0], exact.norms[0], 4e-3 * exact.norms[0]);
    for (std::size_t i = 0; i < rounded.losses.size(); ++i) {
      EXPECT_NEAR(rounded.losses[i], exact.losses[i], 1e-2 * exact.losses[i]);
    }
    if (way.options.shard_group == 0) {
      first = first ? first : rounded;
      EXPECT_EQ(rounded, *first) << "way " << &way - ways().data();
    }
  }
}

std::uint64_t bytes_of_a_step(const FullyShardedOptions& options) {
  std::uint64_t before = 0;
  std::uint64_t bytes = 0;
  std::mutex mutex;
  Job job{.world = 4, .sharded = options, .over = Over::shm, .lanes = 8, .batches = {16, 16}};
  job.after_step = [&](comm::World world, strategies::Strategy& strategy, Task&, std::int64_t step) {
    const std::lock_guard lock(mutex);
    if (world.rank() == 0) {
      (step == 0 ? before : bytes) = strategy.bytes_moved();
    }
  };
  run(job);
  return bytes - before;
}

TEST(FullyShardedReduceDtype, InFastOrderTravelsAsItIs) {
  for (const int group : {0, 2}) {
    FullyShardedOptions options{.shard_group = group, .reduce_order = comm::ReduceOrder::fast};
    const auto wide = static_cast<double>(bytes_of_a_step(options));
    options.reduce_dtype = DType::bf16;
    const auto narrow = static_cast<double>(bytes_of_a_step(options));
    EXPECT_NEAR(narrow / wide, 0.5, 0.02) << "shard group " << group;  // loss and norm are as long as ever
    options.reduce_order = comm::ReduceOrder::canonical;
    EXPECT_GE(static_cast<double>(bytes_of_a_step(options)), wide);
  }
}

}  // namespace
}  // namespace trireme::test
