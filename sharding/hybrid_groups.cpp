#include "trireme/sharding/hybrid_groups.h"

#include <algorithm>

#include "trireme/core/base/error.h"

namespace trireme::sharding {
namespace {

bool lies_in(Subtree part, Subtree node) { return node.begin <= part.begin && part.end <= node.end; }

bool has_present_leaf(const BatchSplit& split, Subtree node) {
  for (std::int64_t leaf = node.begin; leaf < node.end; ++leaf) {
    if (split.items_of(leaf) > 0) {
      return true;
    }
  }
  return false;
}

}  // namespace

HybridGroups HybridGroups::make(int world_size, int shard_group) {
  const int size = shard_group == 0 ? world_size : shard_group;
  require_usage(world_size > 0 && size > 0 && world_size % size == 0,
                "--shard-group {} given for {} ranks; a divisor of the number of ranks expected (0: all ranks), as a "
                "rule the ranks of one host",
                shard_group, world_size);
  return {world_size, size};
}

std::vector<int> HybridGroups::shard_group(int group) const {
  std::vector<int> ranks;
  for (int place = 0; place < group_size; ++place) {
    ranks.push_back(rank_at(group, place));
  }
  return ranks;
}

std::vector<int> HybridGroups::replica_group(int place) const {
  std::vector<int> ranks;
  for (int group = 0; group < groups(); ++group) {
    ranks.push_back(rank_at(group, place));
  }
  return ranks;
}

std::vector<Subtree> subtrees_of_group(const BatchSplit& split, const HybridGroups& groups, int group) {
  const Subtree range{split.leaves_of(groups.rank_at(group, 0), groups.world_size).begin,
                      split.leaves_of(groups.rank_at(group, groups.group_size - 1), groups.world_size).end};
  std::vector<Subtree> nodes = maximal_subtrees(range, split.leaves());
  std::erase_if(nodes, [&](Subtree node) { return !has_present_leaf(split, node); });
  return nodes;
}

TwoLevelReduction TwoLevelReduction::make(const BatchSplit& split, const HybridGroups& groups, int group) {
  TwoLevelReduction reduction;
  reduction.leaves = split.leaves();
  for (int other = 0; other < groups.groups(); ++other) {
    reduction.of_groups.push_back(subtrees_of_group(split, groups, other));
  }
  for (const Subtree node : reduction.of_groups[static_cast<std::size_t>(group)]) {
    GroupReduction inside{node, {}};
    for (int place = 0; place < groups.group_size; ++place) {
      // A rank's parts are nodes inside the group's range, so each lies in exactly one of the group's nodes.
      std::vector<Subtree> parts = split.parts_of(groups.rank_at(group, place), groups.world_size);
      std::erase_if(parts, [&](Subtree part) { return !lies_in(part, node); });
      inside.parts_of_place.push_back(std::move(parts));
    }
    reduction.inside.push_back(std::move(inside));
  }
  return reduction;
}

}  // namespace trireme::sharding
