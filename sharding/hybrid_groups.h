// Hybrid sharding: state is sharded inside a group of ranks and replicated across groups. Which ranks work together,
// and how the one canonical lane tree is reduced on these two levels. Pure arithmetic.
//
// PyTorch calls this HSDP (a mesh of replicate x shard). A shard group is a run of neighbouring ranks, so that with as
// many ranks on each host as the group has, gathers stay inside the host. Neighbouring ranks own neighbouring lanes:
// a group's leaves are a range of the lane tree, a few whole nodes of it (its maximal subtrees). So the sum inside the
// group is exactly the value of these nodes, and the groups go on with the same tree: the bits are those of one level.
#pragma once

#include <cstdint>
#include <vector>

#include "trireme/core/base/batch_split.h"
#include "trireme/core/base/lane_tree.h"

namespace trireme::sharding {

// Which ranks form a shard group (together they hold every row once) and a replica group (all hold the same rows).
struct HybridGroups {
  int world_size = 1;
  int group_size = 1;  // ranks that share the rows

  // `shard_group` as --shard-group gives it; 0: all ranks are one group. Raises Error (usage) unless it divides
  // `world_size`.
  static HybridGroups make(int world_size, int shard_group);

  int groups() const { return world_size / group_size; }
  int group_of(int rank) const { return rank / group_size; }  // also the rank within its replica group
  int place_of(int rank) const { return rank % group_size; }  // the rank within its shard group: whose rows it owns
  int rank_at(int group, int place) const { return group * group_size + place; }
  // Ranks of the world, in the order of their places.
  std::vector<int> shard_group(int group) const;
  std::vector<int> replica_group(int place) const;
};

// A canonical reduction inside a shard group: `parts_of_place` is what comm::ReductionLayout::make takes, together with
// the number of leaves of the whole tree. Its result is the value of `subtree`.
struct GroupReduction {
  Subtree subtree;
  std::vector<std::vector<Subtree>> parts_of_place;  // [place in the group]: left to right, absent ones left out
};

// The reduction of a step as the ranks of `group` see it. First, inside the group, one reduction to rows (a
// reduce_scatter_parts) for each node of `inside`, left to right; place p of the group then has its rows of each node.
// Then, across the groups, one reduction of these rows over the replica group (an all_reduce_parts), to which each
// group brings its nodes. A group without present leaves has nothing to reduce inside and brings nothing.
struct TwoLevelReduction {
  std::int64_t leaves = 1;                      // of the whole tree, for both levels
  std::vector<GroupReduction> inside;           // of `group`
  std::vector<std::vector<Subtree>> of_groups;  // [group]: the nodes that it brings

  static TwoLevelReduction make(const BatchSplit& split, const HybridGroups& groups, int group);
};

// The nodes of the lane tree that together are the group's leaves: the fewest that are possible, left to right, those
// without a present leaf left out.
std::vector<Subtree> subtrees_of_group(const BatchSplit& split, const HybridGroups& groups, int group);

}  // namespace trireme::sharding
