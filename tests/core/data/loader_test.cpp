// The loader: leaves, context, epochs, resuming, idle steps, map steps and prefetching, on a dataset that counts.
#include "trireme/core/data/loader.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "trireme/core/autograd/step_owner.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/step_context.h"

namespace trireme::data {
namespace {

// Item i is the number i.
class Numbers : public Dataset {
 public:
  explicit Numbers(std::int64_t count, std::int64_t fails_at = -1) : count_(count), fails_at_(fails_at) {}
  std::int64_t count() const override { return count_; }
  void fetch(std::span<const std::int64_t> items, Batch& batch) const override {
    batch.items = static_cast<std::int64_t>(items.size());
    make_room(batch.inputs, {batch.items}, DType::f32);
    make_room(batch.labels, {batch.items}, DType::i64);
    for (std::size_t i = 0; i < items.size(); ++i) {
      require(items[i] != fails_at_, "Numbers: item {} is torn", items[i]);
      batch.inputs.data<float>()[i] = static_cast<float>(items[i]);
      batch.labels.data<std::int64_t>()[i] = items[i];
    }
  }

 private:
  std::int64_t count_;
  std::int64_t fails_at_;
};

struct Seen {
  std::int64_t step, leaf;
  bool last;
  std::vector<std::int64_t> items;
  friend bool operator==(const Seen&, const Seen&) = default;
};

Seen look(const Batch& batch) {
  const StepContext& context = step_context();
  EXPECT_EQ(context.leaf_items, batch.items);
  return {context.step, context.leaf, context.last_leaf_of_rank, batch.labels.to_vector<std::int64_t>()};
}

std::vector<Seen> walk(Loader& loader, std::int64_t total) {
  std::vector<Seen> seen;
  for (Batch& batch : loader.until_step(total)) {
    seen.push_back(look(batch));
  }
  return seen;
}

class LoaderTest : public testing::Test {
 protected:
  ~LoaderTest() override { step_context() = StepContext(); }
};

TEST_F(LoaderTest, ALoneProcessSeesWholeBatchesForOneEpoch) {
  Loader loader(Numbers(10), {.batch_size = 4, .order = Order::sequential});
  std::vector<std::vector<std::int64_t>> batches;
  for (auto& batch : loader) {
    batches.push_back(look(batch).items);
    EXPECT_TRUE(step_context().last_leaf_of_rank);
  }
  EXPECT_EQ(batches, (std::vector<std::vector<std::int64_t>>{{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9, 0, 1}}));
}

TEST_F(LoaderTest, ATemporaryLoaderLivesAsLongAsItsLoop) {
  int items = 0;
  for (auto& batch : Loader(Numbers(10), {.batch_size = 4}).map_batch([](Batch&) {})) {
    items += static_cast<int>(batch.items);
  }
  EXPECT_EQ(items, 10);
}

TEST_F(LoaderTest, TheNextLoopIsTheNextEpoch) {
  Loader loader(Numbers(10), {.batch_size = 5, .seed = 3});
  std::vector<Seen> epochs[2];
  for (auto& epoch : epochs) {
    for (auto& batch : loader) {
      epoch.push_back(look(batch));
    }
  }
  EXPECT_EQ(epochs[0].size(), 2u);
  EXPECT_EQ(epochs[1][0].step, 2);
  EXPECT_NE(epochs[0][0].items, epochs[1][0].items);
  EXPECT_EQ(loader.position(), (Loader::Position{4, 2, 0}));
}

TEST_F(LoaderTest, LanesAreLeavesOfOneStepAndOnlyTheLastSaysSo) {
  Loader loader(Numbers(100), {.batch_size = 12, .lanes = 3, .accumulate = 2, .order = Order::sequential});
  const std::vector<Seen> seen = walk(loader, 2);
  ASSERT_EQ(seen.size(), 12u);
  for (std::size_t i = 0; i < 12; ++i) {
    const auto first = static_cast<std::int64_t>(2 * i);
    EXPECT_EQ(
        seen[i],
        (Seen{static_cast<std::int64_t>(i / 6), static_cast<std::int64_t>(i % 6), i % 6 == 5, {first, first + 1}}));
  }
  EXPECT_EQ(step_context().split, (BatchSplit{3, 2, 12}));
}

TEST_F(LoaderTest, RanksTogetherSeeWhatOneRankSeesWhateverTheirNumber) {
  const LoaderOptions options{.batch_size = 12, .lanes = 6, .seed = 4};
  const auto leaves = [&](int size) {
    std::set<std::tuple<std::int64_t, std::int64_t, std::vector<std::int64_t>>> all;
    for (int rank = 0; rank < size; ++rank) {
      Loader loader(Numbers(31), options, {rank, size, 1});
      for (const Seen& seen : walk(loader, 7)) {  // two epochs and a bit; 31 = 2 * 12 + 7
        EXPECT_TRUE(all.insert({seen.step, seen.leaf, seen.items}).second);
      }
    }
    return all;
  };
  const auto one = leaves(1);
  for (const int size : {2, 3, 4, 6}) {
    EXPECT_EQ(leaves(size), one) << size << " ranks";
  }
}

struct Idler final : StepOwner {
  double begin_backward(const Array&, double, bool) override { return 1; }
  void run_idle_step() override { idle.push_back(step_context().step); }
  std::vector<std::int64_t> idle;
};

TEST_F(LoaderTest, AStepWithoutItemsForThisRankIsRunIdle) {
  Idler owner;
  step_context().owner = &owner;
  // 9 items, batches of 4 over 4 lanes: the third batch has one item, which goes to lane 0.
  Loader loader(Numbers(9), {.batch_size = 4, .lanes = 4}, {3, 4, 4});
  std::vector<std::int64_t> steps;
  for (auto& batch : loader) {
    steps.push_back(look(batch).step);
  }
  EXPECT_EQ(steps, (std::vector<std::int64_t>{0, 1}));
  EXPECT_EQ(owner.idle, (std::vector<std::int64_t>{2}));
  EXPECT_EQ(step_context().leaf_items, 0);
  EXPECT_EQ(step_context().split.items, 1);
  EXPECT_EQ(loader.position().step, 3);
}

TEST_F(LoaderTest, AShortLastBatchSkipsEmptyLeaves) {
  Loader loader(Numbers(6), {.batch_size = 4, .lanes = 4});
  std::vector<Seen> seen;
  for (auto& batch : loader) {
    seen.push_back(look(batch));
  }
  ASSERT_EQ(seen.size(), 6u);  // 4 + 2
  EXPECT_EQ(seen[5].leaf, 1);
  EXPECT_TRUE(seen[5].last);
}

TEST_F(LoaderTest, ResumingAnywhereGivesTheSameLeaves) {
  for (const int prefetch : {0, 2}) {
    const LoaderOptions options{.batch_size = 4, .lanes = 2, .seed = 7, .prefetch = prefetch};
    Loader whole(Numbers(11), options);
    const std::vector<Seen> expected = walk(whole, 10);
    for (std::int64_t start = 0; start < 10; ++start) {
      Loader resumed(Numbers(11), options);
      resumed.seek(start);
      std::vector<Seen> got = walk(resumed, 10);
      const auto from = std::find_if(expected.begin(), expected.end(), [&](const Seen& s) { return s.step == start; });
      EXPECT_EQ(got, std::vector<Seen>(from, expected.end())) << "from step " << start;
    }
  }
}

TEST_F(LoaderTest, PositionInTheLastLeafOfAStepIsTheNextStep) {
  Loader loader(Numbers(8), {.batch_size = 4, .lanes = 2});
  std::vector<std::int64_t> positions;
  for ([[maybe_unused]] auto& batch : loader) {
    positions.push_back(loader.position().step);
  }
  EXPECT_EQ(positions, (std::vector<std::int64_t>{0, 1, 1, 2}));
}

TEST_F(LoaderTest, ALoopLeftInTheMiddleOfAStepBeginsItAnew) {
  for (const int prefetch : {0, 1}) {
    Loader loader(Numbers(8), {.batch_size = 4, .lanes = 2, .order = Order::sequential, .prefetch = prefetch});
    int leaves = 0;
    for ([[maybe_unused]] auto& batch : loader) {
      if (++leaves == 3) {
        break;
      }
    }
    std::vector<Seen> rest;
    for (auto& batch : loader) {
      rest.push_back(look(batch));
    }
    ASSERT_EQ(rest.size(), 2u);
    EXPECT_EQ(rest[0], (Seen{1, 2 - 2, false, {4, 5}}));
  }
}

TEST_F(LoaderTest, SeekByEpochAndBatch) {
  Loader loader(Numbers(10), {.batch_size = 4});
  loader.seek(2, 1);
  EXPECT_EQ(loader.position(), (Loader::Position{7, 2, 1}));
  EXPECT_THROW(loader.seek(0, 3), Error);
  EXPECT_THROW(loader.seek(-1), Error);
}

TEST_F(LoaderTest, PrefetchingGivesTheSameLeavesInTheSameOrder) {
  const LoaderOptions options{.batch_size = 6, .lanes = 3, .seed = 2};
  LoaderOptions ahead = options;
  ahead.prefetch = 3;
  Loader here(Numbers(20), options), there(Numbers(20), ahead);
  EXPECT_EQ(walk(here, 11), walk(there, 11));
}

TEST_F(LoaderTest, AnErrorOfTheDatasetReachesTheLoop) {
  for (const int prefetch : {0, 2}) {
    Loader loader(Numbers(10, 7), {.batch_size = 2, .order = Order::sequential, .prefetch = prefetch});
    std::int64_t reached = -1;
    try {
      for ([[maybe_unused]] auto& batch : loader) {
        reached = step_context().step;
      }
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("item 7 is torn"), std::string::npos);
    }
    EXPECT_EQ(reached, 2);
  }
}

class Slow final : public Numbers {
 public:
  Slow() : Numbers(4) {}
  void fetch(std::span<const std::int64_t> items, Batch& batch) const override {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    Numbers::fetch(items, batch);
  }
  bool in_memory() const override { return false; }
};

TEST_F(LoaderTest, ASourceThatHangsIsAnErrorAfterTheTimeout) {
  Loader loader(Slow(), {.batch_size = 2, .timeout = std::chrono::milliseconds(5)});
  EXPECT_THROW(loader.begin(), Error);
}

TEST_F(LoaderTest, ArraysAreRecycledUnlessTheProgramKeepsThem) {
  Loader loader(Numbers(100), {.batch_size = 4, .order = Order::sequential});
  std::set<const void*> places;
  for (auto& batch : loader.until_step(5)) {
    places.insert(batch.inputs.bytes_data());
  }
  EXPECT_EQ(places.size(), 1u);
  std::vector<Array> kept;
  for (auto& batch : loader.until_step(8)) {
    kept.push_back(batch.inputs);
  }
  EXPECT_EQ(kept[0].to_vector<float>(), (std::vector<float>{20, 21, 22, 23}));
  EXPECT_EQ(kept[1].to_vector<float>(), (std::vector<float>{24, 25, 26, 27}));
}

TEST_F(LoaderTest, MapStepsRunInOrderOnItemsThenOnBatches) {
  auto loader = Loader(Numbers(10), {.batch_size = 5, .order = Order::sequential})
                    .map([](Item& item) { item.inputs.fill(item.inputs.item() * 10); })
                    .map([](Item& item) { item.inputs.fill(item.inputs.item() + static_cast<double>(item.index)); })
                    .map_batch([](Batch& batch) { batch.inputs = batch.inputs.to(DType::f64); });
  for (auto& batch : loader.until_step(1)) {
    EXPECT_EQ(batch.inputs.dtype(), DType::f64);
    EXPECT_EQ(batch.inputs.to_vector<double>(), (std::vector<double>{0, 11, 22, 33, 44}));
  }
}

TEST_F(LoaderTest, RandomMapsDoNotDependOnTheWorldSizeOrTheThread) {
  const auto values = [](int size, int prefetch) {
    std::vector<double> out;
    for (int rank = 0; rank < size; ++rank) {
      auto loader = Loader(Numbers(8), {.batch_size = 8, .lanes = 4, .seed = 1, .prefetch = prefetch}, {rank, size, 4})
                        .map([](Item& item) { item.inputs.fill(item.random.uniform(0)); });
      for (auto& batch : loader.until_step(1)) {
        for (const double value : batch.inputs.to_vector<double>()) {
          out.push_back(value);
        }
      }
    }
    return out;
  };
  const std::vector<double> one = values(1, 0);
  EXPECT_EQ(std::set<double>(one.begin(), one.end()).size(), 8u);
  EXPECT_EQ(values(4, 0), one);
  EXPECT_EQ(values(2, 2), one);
}

TEST_F(LoaderTest, BatchesThatLanesCannotShareAreAUsageErrorThatSaysWhatToDo) {
  try {
    Loader loader(Numbers(10), {.batch_size = 10, .lanes = 4});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    EXPECT_NE(std::string(error.what()).find("multiple of 4"), std::string::npos) << error.what();
  }
  EXPECT_THROW(Loader(Numbers(10), {.batch_size = 0}), Error);
  EXPECT_THROW(Loader(Numbers(0), {}), Error);
  EXPECT_THROW(Loader(Numbers(10), {.batch_size = 2}, {0, 2, 1}), Error);
}

TEST_F(LoaderTest, EvaluationChunksAreTheSameForEveryWorldSizeAndCoverAllItems) {
  std::set<std::vector<std::int64_t>> expected = {{0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}};
  for (const int size : {1, 2, 4}) {
    std::set<std::vector<std::int64_t>> chunks;
    for (int rank = 0; rank < size; ++rank) {
      for_each_batch(Numbers(10), 4, {rank, size, size},
                     [&](const Batch& batch) { chunks.insert(batch.labels.to_vector<std::int64_t>()); });
    }
    EXPECT_EQ(chunks, expected);
  }
}

}  // namespace
}  // namespace trireme::data
