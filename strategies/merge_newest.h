// The additions on a rank's stack of partial sums (sharding/lane_plan.h).
#pragma once

#include <cstddef>
#include <vector>

#include "trireme/core/array/accumulate.h"

namespace trireme::strategies {

// The levels of one item among many: item `item` of each.
struct LevelsOfItem {
  const std::vector<std::vector<Array>>& levels;
  std::size_t item;

  const Array& operator[](std::size_t level) const { return levels[level][item]; }
};

// Makes the additions that are due after the leaf at `height`: the newest of the sums levels[0 .. height] goes into the
// one below it, `merges` times. `levels[i]` gives an Array.
template <class Levels>
void merge_newest(const Levels& levels, int height, int merges) {
  for (int i = 0; i < merges; ++i) {
    const auto top = static_cast<std::size_t>(height - i);
    accumulate(levels[top - 1], levels[top]);
  }
}

}  // namespace trireme::strategies
