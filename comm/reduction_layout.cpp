#include <algorithm>
#include <numeric>

#include "trireme/comm/communicator.h"

namespace trireme::comm {
namespace {

// FNV-1a over 64-bit words: only tells layouts of one program apart.
std::uint64_t mix(std::uint64_t hash, std::int64_t value) {
  return (hash ^ static_cast<std::uint64_t>(value)) * 0x100000001b3u;
}

// The plan for parts in any order, in terms of their places here.
std::vector<Addition> plan_over(const std::vector<Subtree>& parts, std::int64_t leaves) {
  std::vector<std::int32_t> slots(parts.size());
  std::iota(slots.begin(), slots.end(), 0);
  const auto part_of = [&](std::int32_t slot) { return parts[static_cast<std::size_t>(slot)]; };
  std::sort(slots.begin(), slots.end(), [&](std::int32_t a, std::int32_t b) { return part_of(a) < part_of(b); });
  std::vector<Subtree> ordered;
  std::transform(slots.begin(), slots.end(), std::back_inserter(ordered), part_of);
  std::vector<Addition> plan = reduction_plan(ordered, leaves);
  for (Addition& add : plan) {
    add = {slots[static_cast<std::size_t>(add.target)], slots[static_cast<std::size_t>(add.source)]};
  }
  return plan;
}

}  // namespace

std::shared_ptr<const ReductionLayout> ReductionLayout::make(std::int64_t leaves,
                                                             std::vector<std::vector<Subtree>> parts_of_rank) {
  auto layout = std::make_shared<ReductionLayout>();
  layout->leaves = leaves;
  layout->first_slot.push_back(0);
  std::vector<Subtree> all;
  std::uint64_t hash = mix(0xcbf29ce484222325u, leaves);
  for (const std::vector<Subtree>& parts : parts_of_rank) {
    for (const Subtree part : parts) {
      all.push_back(part);
      hash = mix(mix(hash, part.begin), part.end);
    }
    hash = mix(hash, -1);
    layout->first_slot.push_back(static_cast<std::int32_t>(all.size()));
    layout->most_parts = std::max(layout->most_parts, static_cast<std::int64_t>(parts.size()));
  }
  layout->plan = plan_over(all, leaves);
  layout->parts_of_rank = std::move(parts_of_rank);
  layout->fingerprint = hash;
  return layout;
}

std::shared_ptr<const ReductionLayout> ReductionLayout::make(const BatchSplit& split, int world_size) {
  std::vector<std::vector<Subtree>> parts_of_rank;
  for (int rank = 0; rank < world_size; ++rank) {
    parts_of_rank.push_back(split.parts_of(rank, world_size));
  }
  return make(split.leaves(), std::move(parts_of_rank));
}

}  // namespace trireme::comm
