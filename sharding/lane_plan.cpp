#include "trireme/sharding/lane_plan.h"

#include <algorithm>

namespace trireme::sharding {
namespace {

// Appends the present leaves of the node; true if there are any. A node whose halves both have a value is one addition,
// due as soon as its last leaf is done.
bool visit(const BatchSplit& split, Subtree node, std::vector<LanePlan::Leaf>& leaves) {
  if (node.size() == 1) {
    if (split.items_of(node.begin) == 0) {
      return false;
    }
    leaves.push_back({node.begin, 0});
    return true;
  }
  const std::int64_t middle = split_point(node);
  const bool left = visit(split, {node.begin, middle}, leaves);
  const bool right = visit(split, {middle, node.end}, leaves);
  if (left && right) {
    ++leaves.back().merges;
  }
  return left || right;
}

}  // namespace

LanePlan LanePlan::make(const BatchSplit& split, int rank, int world_size) {
  LanePlan plan;
  plan.parts = split.parts_of(rank, world_size);
  for (const Subtree& part : plan.parts) {
    visit(split, part, plan.leaves);
  }
  int height = 0;
  for (const Leaf& leaf : plan.leaves) {
    plan.depth = std::max(plan.depth, ++height);
    height -= leaf.merges;
  }
  return plan;
}

}  // namespace trireme::sharding
