// The rows that a rank owns of every parameter, side by side in one block of memory.
#pragma once

#include <optional>
#include <vector>

#include "trireme/strategies/fully_sharded/shard_map.h"

namespace trireme::strategies {

// The array of this shape and dtype that begins `offset` bytes into a block.
// REQUIRES: the block begins where its storage begins.
inline Array view_at(const Array& block, std::int64_t offset, const Shape& shape, DType dtype) {
  return Array::over(block.storage(), static_cast<std::size_t>(offset), shape, dtype);
}

inline std::int64_t padded_bytes(std::int64_t count, DType dtype) {
  constexpr std::int64_t kLine = 64;
  return (count * static_cast<std::int64_t>(size_of(dtype)) + kLine - 1) / kLine * kLine;
}

// [parameter]: its rows as a flat array of the dtype that dtype_of(i) says, each from a cache line on; undefined where
// it says none. allocate(bytes) makes the block, u8.
template <class DTypeOf, class Allocate>
std::vector<Array> make_own_rows(const ShardMap& map, DTypeOf&& dtype_of, Allocate&& allocate) {
  std::int64_t bytes = 0;
  std::vector<std::int64_t> offsets;
  for (std::size_t i = 0; i < map.parameters.size(); ++i) {
    const std::optional<DType> dtype = dtype_of(i);
    offsets.push_back(bytes);
    bytes += dtype ? padded_bytes(map.own(i).count, *dtype) : 0;
  }
  const Array block = allocate(bytes);
  std::vector<Array> rows(map.parameters.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (const std::optional<DType> dtype = dtype_of(i)) {
      rows[i] = view_at(block, offsets[i], {map.own(i).count}, *dtype);
    }
  }
  return rows;
}

// The optimizer's rows, f32, of the parameters for which they lie apart from what forward reads.
inline std::vector<Array> make_masters(const ShardMap& map, bool all) {
  return make_own_rows(
      map, [&](std::size_t i) { return all || map.dtypes[i] != DType::f32 ? std::optional(DType::f32) : std::nullopt; },
      [](std::int64_t bytes) { return Array::zeros({bytes}, DType::u8); });
}

}  // namespace trireme::strategies
