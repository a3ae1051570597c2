// The rows that a rank owns of every parameter, side by side in one array.
#pragma once

#include <vector>

#include "trireme/strategies/fully_sharded/shard_map.h"

namespace trireme::strategies {

// Elements that the rank's rows take, each parameter's from a cache line on.
inline std::int64_t own_elements(const ShardMap& map) {
  std::int64_t elements = 0;
  for (std::size_t i = 0; i < map.parameters.size(); ++i) {
    elements += sharding::padded_to_lines(map.own(i).count);
  }
  return elements;
}

// [parameter]: its rows as a flat view of `block`, which has own_elements() elements.
inline std::vector<Array> own_views(const ShardMap& map, const Array& block) {
  std::vector<Array> views;
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < map.parameters.size(); ++i) {
    const std::int64_t count = map.own(i).count;
    views.push_back(block.narrow(0, offset, count));
    offset += sharding::padded_to_lines(count);
  }
  return views;
}

}  // namespace trireme::strategies
