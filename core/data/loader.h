// Loader: walks a dataset in batches, one leaf (a lane's micro-batch) at a time, and tells this thread's step_context()
// which leaf of which step runs.
//
//   for (auto& batch : data::Loader(data::Idx("images", "labels"), {.batch_size = 64}, world)) { ... }
//
// `batch_size` is the global batch: the loop body runs once for each leaf that this rank owns, on the same items
// whatever the number of ranks. A leaf without items (an epoch's short last batch) is skipped; in a step in which this
// rank has nothing at all, step_context().owner->run_idle_step() takes part in its place. Not for sharing between
// threads: a loader belongs to the thread of its rank.
#pragma once

#include <chrono>
#include <concepts>
#include <iterator>
#include <memory>
#include <utility>

#include "trireme/core/data/leaf_feed.h"

namespace trireme::data {

struct LoaderOptions {
  std::int64_t batch_size = 64;  // items of a step, over all ranks; a multiple of the number of lanes
  std::int64_t lanes = 0;        // 0: the layout's default
  std::int64_t accumulate = 1;   // micro-batches of a lane
  Order order = Order::shuffled;
  std::uint64_t seed = 0;
  int prefetch = -1;  // batches made ahead on a thread of their own; 0: none; -1: 2 unless data are in memory
  std::chrono::milliseconds timeout{300'000};  // of a prefetched batch
};

class Loader {
 public:
  // Where a loader stands: the step it hands out next. Epoch and batch follow from it.
  struct Position {
    std::int64_t step = 0;
    std::int64_t epoch = 0;
    std::int64_t batch = 0;  // within the epoch
    friend bool operator==(const Position&, const Position&) = default;
  };

  class Iterator {
   public:
    explicit Iterator(Loader* loader) : loader_(loader) {}
    Batch& operator*() const { return loader_->current(); }
    Iterator& operator++() {
      loader_->advance();
      return *this;
    }
    bool operator==(std::default_sentinel_t) const { return loader_->ended(); }

   private:
    Loader* loader_;
  };

  // The leaves up to (not including) a step.
  class Range {
   public:
    Range(Loader* loader, std::int64_t stop) : loader_(loader), stop_(stop) {}
    Iterator begin() const { return loader_->start(stop_); }
    std::default_sentinel_t end() const { return {}; }

   private:
    Loader* loader_;
    std::int64_t stop_;
  };

  // Raises Error (usage) if the dataset is empty, an option is out of range, batch_size is not a multiple of the lanes,
  // or there are fewer lanes than ranks.
  Loader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options, RankLayout layout = {});
  template <std::derived_from<Dataset> D>
  Loader(D dataset, const LoaderOptions& options, RankLayout layout = {})
      : Loader(std::make_shared<const D>(std::move(dataset)), options, layout) {}
  Loader(Loader&&) noexcept;
  Loader& operator=(Loader&&) noexcept;
  ~Loader();

  // Map steps, in the order given, each run after the items were fetched (on the prefetching thread if there is one):
  // on each item, or on a leaf's whole batch (which may replace arrays, but not change the number of items). Before the
  // first loop.
  Loader& map(MapItem map) &;
  Loader map(MapItem map) && { return std::move(this->map(std::move(map))); }
  Loader& map_batch(MapBatch map) &;
  Loader map_batch(MapBatch map) && { return std::move(this->map_batch(std::move(map))); }

  // Range-for: what is left of the current epoch (all of it, unless a loop was left early or seek() went into it). The
  // next range-for is the next epoch. A step that was left in the middle begins anew.
  Iterator begin();
  std::default_sentinel_t end() const { return {}; }
  // Range-for over all steps below `total`, through as many epochs as needed.
  Range until_step(std::int64_t total) { return {this, total}; }

  // The next step: within the body of a step's last leaf already the one after it, so that a checkpoint written there
  // resumes behind it.
  Position position() const;
  void seek(std::int64_t step);
  void seek(std::int64_t epoch, std::int64_t batch);

  std::int64_t steps_per_epoch() const;
  std::int64_t items_per_epoch() const;
  std::int64_t lanes() const;
  std::int64_t accumulate() const;
  std::int64_t batch_size() const;  // global
  std::uint64_t seed() const;
  Order order() const;
  const Dataset& dataset() const;

 private:
  struct State;

  Iterator start(std::int64_t stop);
  Batch& current();
  void advance();
  bool ended() const;

  std::unique_ptr<State> state_;
};

// Calls use(batch) for the items of `dataset` in order, in chunks of `batch_size`, of which each rank gets every
// size-th: evaluation, with the same chunks for every world size. step_context() is left alone.
template <class Use>
void for_each_batch(const Dataset& dataset, std::int64_t batch_size, RankLayout layout, Use&& use) {
  std::vector<std::int64_t> items;
  Batch batch;
  for (std::int64_t begin = layout.rank * batch_size; begin < dataset.count(); begin += layout.size * batch_size) {
    items.clear();
    for (std::int64_t item = begin; item < begin + batch_size && item < dataset.count(); ++item) {
      items.push_back(item);
    }
    dataset.fetch(items, batch);
    use(batch);
  }
}

}  // namespace trireme::data
