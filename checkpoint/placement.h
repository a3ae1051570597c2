// Which rank saves which rows: a pure function of what a rank holds, its rank and the world size, so that saving needs
// no communication and every row is written exactly once.
#pragma once

#include <cstdint>

#include "trireme/sharding/state.h"

namespace trireme::checkpoint {

struct RowRange {
  std::int64_t begin = 0;
  std::int64_t rows = 0;
};

// Rows of the whole tensor: its first size, 1 for a scalar.
std::int64_t row_count(const Shape& shape);

// Raises Error naming the tensor unless its rows are a part of its global shape.
void require_part(const sharding::StateTensor& tensor);
// The same, and unless they have values.
void require_valid(const sharding::StateTensor& tensor);

// The rows (of the global tensor) that `rank` writes. Mirrored: nearly equal neighbouring ranges, the first ranks one
// row more. Sharded: all rows that the rank holds, or its share of them if replicas hold them too.
RowRange rows_to_save(const sharding::StateTensor& tensor, int rank, int world_size);
// Whether `rank` writes an entry at all: it has rows, or it is rank 0 and keeps the name of a tensor without any.
bool saves_entry(const sharding::StateTensor& tensor, int rank, int world_size);

}  // namespace trireme::checkpoint
