// Which sums over lanes still miss what: the lane tree as a server sees it that gets its parts in any order, twice, or
// cut otherwise by another worker. Pure arithmetic.
//
// A part is a node of the tree (core/base/lane_tree.h). Absent leaves are skipped there, so nodes that differ only by
// absent leaves have the same value; `canonical` is the largest of them. Two canonical siblings add up to their parent.
#pragma once

#include <cstdint>
#include <optional>

#include "trireme/core/base/batch_split.h"

namespace trireme::strategies::parameter_server {

class LaneParts {
 public:
  LaneParts() = default;
  // Raises Error if the split has no leaves or no items.
  explicit LaneParts(const BatchSplit& split);

  // The largest node with the same present leaves. Raises Error unless `part` is a node with a present leaf.
  Subtree canonical(Subtree part) const;
  // The node that must be added to this one to give their parent; nothing for the whole tree. REQUIRES: canonical.
  std::optional<Subtree> sibling(Subtree node) const;
  // The canonical form of the parent. REQUIRES: canonical, not the whole tree.
  Subtree joined(Subtree node) const;
  Subtree whole() const { return {0, split_.leaves()}; }
  const BatchSplit& split() const { return split_; }

 private:
  bool is_absent(Subtree node) const;
  std::optional<Subtree> parent(Subtree node) const;

  BatchSplit split_ = {0, 0, 0};
};

}  // namespace trireme::strategies::parameter_server
