#include "trireme/strategies/parameter_server/clocks/lane_parts.h"

#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server {
namespace {

Subtree other_child(Subtree parent, Subtree child) {
  return child.begin == parent.begin ? Subtree{child.end, parent.end} : Subtree{parent.begin, child.begin};
}

}  // namespace

LaneParts::LaneParts(const BatchSplit& split) : split_(split) {
  require(split.leaves() > 0 && split.items > 0,
          "lane parts: {} lanes x {} micro-batches, {} items given; some expected", split.lanes, split.accumulate,
          split.items);
}

bool LaneParts::is_absent(Subtree node) const {
  for (std::int64_t leaf = node.begin; leaf < node.end; ++leaf) {
    if (split_.items_of(leaf) > 0) {
      return false;
    }
  }
  return true;
}

std::optional<Subtree> LaneParts::parent(Subtree node) const {
  Subtree at = whole();
  std::optional<Subtree> above;
  while (at != node) {
    require(at.size() > 1 && at.begin <= node.begin && node.begin < node.end && node.end <= at.end,
            "lane parts: [{}, {}) is no node of the tree over {} leaves", node.begin, node.end, split_.leaves());
    const std::int64_t middle = split_point(at);
    above = at;
    at = node.begin < middle ? Subtree{at.begin, middle} : Subtree{middle, at.end};
  }
  return above;
}

Subtree LaneParts::canonical(Subtree part) const {
  std::optional<Subtree> above = parent(part);
  require(!is_absent(part), "lane parts: [{}, {}) has no items in this step", part.begin, part.end);
  while (above && is_absent(other_child(*above, part))) {
    part = *above;
    above = parent(part);
  }
  return part;
}

std::optional<Subtree> LaneParts::sibling(Subtree node) const {
  const std::optional<Subtree> above = parent(node);
  return above ? std::optional(other_child(*above, node)) : std::nullopt;
}

Subtree LaneParts::joined(Subtree node) const { return canonical(*parent(node)); }

}  // namespace trireme::strategies::parameter_server
