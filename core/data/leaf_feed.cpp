#include "trireme/core/data/leaf_feed.h"

#include <string>

namespace trireme::data {
namespace {

Array view_of(const Array& array, std::int64_t item) { return array.defined() ? array.select(0, item) : Array(); }

void map_items(const FeedPlan& plan, std::int64_t step, std::int64_t begin, const std::vector<std::int64_t>& items,
               const Batch& batch) {
  for (std::int64_t i = 0; i < batch.items; ++i) {
    for (std::size_t m = 0; m < plan.item_maps.size(); ++m) {
      const RandomStream random(plan.sampler.seed, "map " + std::to_string(m), static_cast<std::uint64_t>(step),
                                static_cast<std::uint64_t>(begin + i));
      Item item{view_of(batch.inputs, i), view_of(batch.labels, i), view_of(batch.categories, i),
                items[static_cast<std::size_t>(i)], random};
      plan.item_maps[m](item);
    }
  }
}

}  // namespace

std::int64_t next_leaf(const BatchSplit& split, Subtree leaves, std::int64_t leaf) {
  for (std::int64_t next = leaf + 1; next < leaves.end; ++next) {
    if (split.items_of(next) > 0) {
      return next;
    }
  }
  return -1;
}

void make_batch(const FeedPlan& plan, std::int64_t step, std::int64_t leaf, std::vector<std::int64_t>& items,
                Batch& batch) {
  const BatchSplit split = plan.split_of(step);
  const std::int64_t begin = split.begin_of(leaf);
  items.resize(static_cast<std::size_t>(split.items_of(leaf)));
  plan.sampler.fill(step, begin, items);
  plan.dataset->fetch(items, batch);
  map_items(plan, step, begin, items, batch);
  for (const MapBatch& map : plan.batch_maps) {
    map(batch);
  }
}

}  // namespace trireme::data
