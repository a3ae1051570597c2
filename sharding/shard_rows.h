// Who owns which rows of a parameter: dim 0 in equal pieces, rounded up, first ranks first. Pure arithmetic.
//
// As FSDP2 shards (torch.chunk over dim 0): with R rows on n ranks a piece is ceil(R / n) rows, rank r owns rows
// [min(R, r * piece), min(R, (r + 1) * piece)). Later ranks may own fewer rows, or none. A parameter of 0 dims has one
// row.
#pragma once

#include <cstdint>
#include <vector>

#include "trireme/core/base/shape.h"

namespace trireme::sharding {

// The rows [begin, end).
struct RowRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;

  std::int64_t size() const { return end - begin; }
  friend bool operator==(const RowRange&, const RowRange&) = default;
};

// How many rows a parameter has. A row's elements are optim::row_length(shape).
std::int64_t row_count(const Shape& parameter);

// The rows of `rows` that `rank` of `size` owns. Raises Error unless 0 <= rank < size and rows >= 0.
RowRange rows_of(std::int64_t rows, int rank, int size);

// The rank that owns the row. REQUIRES: 0 <= row < rows.
int owner_of_row(std::int64_t rows, std::int64_t row, int size);

// The first element of each rank's piece of the parameter, row-major, and their number at the end: `size` + 1 entries,
// as all_gather_v and reduce_scatter_parts take them.
std::vector<std::int64_t> row_offsets(const Shape& parameter, int size);

}  // namespace trireme::sharding
