// Which leaves of the lane tree a rank runs in a step, and when it adds partial sums. Pure arithmetic.
#pragma once

#include <cstdint>
#include <vector>

#include "trireme/core/base/batch_split.h"

namespace trireme::sharding {

// A rank's partial sums form a stack: each finished leaf is pushed, then the two newest are added `merges` times
// (older += newer), which is exactly the part of the lane tree below the rank's maximal subtrees. What is left on the
// stack after the last leaf are the rank's parts, bottom first.
struct LanePlan {
  struct Leaf {
    std::int64_t leaf = 0;
    int merges = 0;
  };

  std::vector<Leaf> leaves;    // present ones, in the order in which they run
  std::vector<Subtree> parts;  // left on the stack at the end
  int depth = 0;               // the most partial sums alive at once, the running leaf's included

  static LanePlan make(const BatchSplit& split, int rank, int world_size);
};

}  // namespace trireme::sharding
