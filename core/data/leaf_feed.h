// Making the batches of a rank's leaves, in order, from a given step on. For the Loader: here or ahead of time on
// another thread, the same leaves come in the same order.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "trireme/core/base/batch_split.h"
#include "trireme/core/data/dataset.h"
#include "trireme/core/data/sampler.h"

namespace trireme::data {

using MapItem = std::function<void(Item&)>;
using MapBatch = std::function<void(Batch&)>;

// What a loader does, fixed once it runs: which leaves exist, what is in them.
struct FeedPlan {
  std::shared_ptr<const Dataset> dataset;
  Sampler sampler;
  RankLayout layout;
  std::int64_t lanes = 1;
  std::int64_t accumulate = 1;
  std::vector<MapItem> item_maps;
  std::vector<MapBatch> batch_maps;

  BatchSplit split_of(std::int64_t step) const { return {lanes, accumulate, sampler.items_of(step)}; }
  Subtree leaves() const { return BatchSplit{lanes, accumulate, 0}.leaves_of(layout.rank, layout.size); }
};

// The leaf after `leaf` (begin - 1 to start) of this rank that has items; -1 if there is none.
std::int64_t next_leaf(const BatchSplit& split, Subtree leaves, std::int64_t leaf);

// Fills `batch` with the items of one leaf and runs the map steps. `items` is scratch memory that keeps its capacity.
void make_batch(const FeedPlan& plan, std::int64_t step, std::int64_t leaf, std::vector<std::int64_t>& items,
                Batch& batch);

}  // namespace trireme::data
