#include "trireme/sharding/shard_rows.h"

#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/core/optim/rows.h"

namespace trireme::sharding {
namespace {

// Of every rank but the last ones. At least one, so that no division is by zero.
std::int64_t rows_of_piece(std::int64_t rows, int size) { return std::max<std::int64_t>(1, (rows + size - 1) / size); }

}  // namespace

std::int64_t row_count(const Shape& parameter) { return parameter.dims() == 0 ? 1 : parameter[0]; }

RowRange rows_of(std::int64_t rows, int rank, int size) {
  require(rows >= 0 && size > 0 && rank >= 0 && rank < size,
          "rows_of: {} rows for rank {} of {} given, 0 <= rank < size and rows >= 0 expected", rows, rank, size);
  const std::int64_t piece = rows_of_piece(rows, size);
  return {std::min(rows, rank * piece), std::min(rows, (rank + 1) * piece)};
}

int owner_of_row(std::int64_t rows, std::int64_t row, int size) {
  return static_cast<int>(row / rows_of_piece(rows, size));
}

std::vector<std::int64_t> row_offsets(const Shape& parameter, int size) {
  const std::int64_t rows = row_count(parameter);
  const std::int64_t length = optim::row_length(parameter);
  std::vector<std::int64_t> offsets;
  offsets.reserve(static_cast<std::size_t>(size) + 1);
  for (int rank = 0; rank < size; ++rank) {
    offsets.push_back(rows_of(rows, rank, size).begin * length);
  }
  offsets.push_back(rows * length);
  return offsets;
}

}  // namespace trireme::sharding
