// How a global batch is cut into the leaves of the lane tree: pure arithmetic that Loader and strategies share.
//
// A step has lanes * accumulate leaves; leaf = lane * accumulate + micro-batch, so a lane's micro-batches are
// neighbours. A full batch gives every leaf the same number of items. A short one (an epoch's last) gives its items to
// the lanes as evenly as possible, first lanes first, and a lane's items to its micro-batches likewise; leaves without
// items are absent.
#pragma once

#include <cstdint>
#include <vector>

#include "trireme/core/base/lane_tree.h"

namespace trireme {

// The place of a process among its peers, as plain data; core knows nothing else of ranks. A communicator converts to
// it.
struct RankLayout {
  int rank = 0;
  int size = 1;
  std::int64_t lanes = 1;  // the default number of lanes: the largest world size that the start allows
};

struct BatchSplit {
  std::int64_t lanes = 1;
  std::int64_t accumulate = 1;
  std::int64_t items = 0;  // of this global batch

  std::int64_t leaves() const { return lanes * accumulate; }
  // Items of the leaf, and where they begin within the global batch.
  std::int64_t items_of(std::int64_t leaf) const;
  std::int64_t begin_of(std::int64_t leaf) const;
  // The leaves of the lanes that `rank` of `size` owns, absent ones included.
  Subtree leaves_of(int rank, int size) const;
  // The maximal subtrees that the rank pre-adds: nodes with at least one present leaf.
  std::vector<Subtree> parts_of(int rank, int size) const;
  friend bool operator==(const BatchSplit&, const BatchSplit&) = default;
};

}  // namespace trireme
