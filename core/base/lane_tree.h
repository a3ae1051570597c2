// The canonical reduction tree over lanes, as pure arithmetic. See docs/numerics.md.
//
// A gradient is the sum over G leaves (lane x micro-batch) in ONE binary tree: a node over [begin, end) splits at
// begin + the largest power of two below its size. The sum of a node is left + right, element by element. An absent
// leaf is skipped, never added as zero: a node with one present child has that child's value.
// Nothing here knows ranks; strategies and comm agree on the order of additions by asking these functions.
#pragma once

#include <compare>
#include <cstdint>
#include <vector>

namespace trireme {

// The leaves [begin, end) of the tree over `leaves` leaves.
struct Subtree {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  std::int64_t size() const { return end - begin; }
  friend auto operator<=>(const Subtree&, const Subtree&) = default;
};

// Where the node splits: begin + largest power of two below its size. REQUIRES: size() >= 2.
std::int64_t split_point(Subtree node);

// The fewest nodes of the tree over `leaves` leaves that together are exactly [range.begin, range.end), left to right:
// what a rank that owns this range pre-adds. At most 2 log2(leaves) of them, one if the range is an aligned block.
std::vector<Subtree> maximal_subtrees(Subtree range, std::int64_t leaves);

// The contiguous range of lanes that rank `rank` of `world_size` owns: sizes differ by at most one, larger first.
// 12 lanes on 7 ranks: 2,2,2,2,2,1,1. REQUIRES: lanes >= world_size.
Subtree lanes_of_rank(std::int64_t lanes, int world_size, int rank);

// One addition of the plan below: slots[target] += slots[source], after which `source` is free.
struct Addition {
  std::int32_t target;
  std::int32_t source;
};

// The additions that reduce `parts` (disjoint nodes of the tree over `leaves`, in left-to-right order, absent ones left
// out) to one value, which ends in slot 0 (the slot of the first part). Additions are in an executable order; the
// operands are always (left, right). Empty for no or one part.
// Raises Error if a part is not a node of the tree or two overlap.
std::vector<Addition> reduction_plan(const std::vector<Subtree>& parts, std::int64_t leaves);

}  // namespace trireme
