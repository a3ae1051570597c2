#include "trireme/core/base/lane_tree.h"

#include <bit>
#include <cstddef>

#include "trireme/core/base/error.h"

namespace trireme {
namespace {

void collect(Subtree node, Subtree range, std::vector<Subtree>& out) {
  if (node.end <= range.begin || range.end <= node.begin) {
    return;
  }
  if (range.begin <= node.begin && node.end <= range.end) {
    out.push_back(node);
    return;
  }
  const std::int64_t middle = split_point(node);
  collect({node.begin, middle}, range, out);
  collect({middle, node.end}, range, out);
}

// Walks the tree; `next` is the first part not yet consumed. Returns the slot of the node's value, -1 if it is empty.
std::int32_t reduce(Subtree node, const std::vector<Subtree>& parts, std::size_t& next, std::vector<Addition>& plan) {
  if (next == parts.size() || parts[next].begin >= node.end) {
    return -1;
  }
  if (parts[next] == node) {
    return static_cast<std::int32_t>(next++);
  }
  require(node.size() > 1 && parts[next].begin >= node.begin && parts[next].end <= node.end,
          "reduction_plan: [{}, {}) is not a node of the lane tree, or overlaps its neighbour", parts[next].begin,
          parts[next].end);
  const std::int64_t middle = split_point(node);
  const std::int32_t left = reduce({node.begin, middle}, parts, next, plan);
  const std::int32_t right = reduce({middle, node.end}, parts, next, plan);
  if (left < 0 || right < 0) {
    return left < 0 ? right : left;
  }
  plan.push_back({left, right});
  return left;
}

}  // namespace

std::int64_t split_point(Subtree node) {
  const auto size = static_cast<std::uint64_t>(node.size());
  return node.begin + static_cast<std::int64_t>(std::bit_floor(size - 1));
}

std::vector<Subtree> maximal_subtrees(Subtree range, std::int64_t leaves) {
  std::vector<Subtree> out;
  if (range.size() > 0 && leaves > 0) {
    collect({0, leaves}, range, out);
  }
  return out;
}

Subtree lanes_of_rank(std::int64_t lanes, int world_size, int rank) {
  require_usage(lanes >= world_size,
                "{} lanes given for {} ranks; every rank needs a lane: pass --lanes {} or more, or start fewer ranks",
                lanes, world_size, world_size);
  const std::int64_t base = lanes / world_size;
  const std::int64_t extra = lanes % world_size;
  const std::int64_t begin = rank * base + (rank < extra ? rank : extra);
  return {begin, begin + base + (rank < extra ? 1 : 0)};
}

std::vector<Addition> reduction_plan(const std::vector<Subtree>& parts, std::int64_t leaves) {
  std::vector<Addition> plan;
  if (parts.empty()) {
    return plan;
  }
  std::size_t next = 0;
  reduce({0, leaves}, parts, next, plan);
  require(next == parts.size(),
          "reduction_plan: part [{}, {}) lies outside the tree over {} leaves, or is out of order",
          parts[next < parts.size() ? next : 0].begin, parts[next < parts.size() ? next : 0].end, leaves);
  return plan;
}

}  // namespace trireme
