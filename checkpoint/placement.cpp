#include "trireme/checkpoint/placement.h"

#include <algorithm>

#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

bool same_but_rows(const Shape& a, const Shape& b) {
  return a.dims() == b.dims() && (a.dims() == 0 || std::equal(a.begin() + 1, a.end(), b.begin() + 1));
}

// Nearly equal neighbouring ranges, the first holders one row more.
RowRange share_of(std::int64_t rows, int holder, int holders) {
  const std::int64_t share = rows / holders;
  const std::int64_t more = rows % holders;
  return {holder * share + std::min<std::int64_t>(holder, more), share + (holder < more ? 1 : 0)};
}

}  // namespace

std::int64_t row_count(const Shape& shape) { return shape.dims() == 0 ? 1 : shape[0]; }

void require_part(const sharding::StateTensor& tensor) {
  const std::int64_t all = row_count(tensor.global_shape);
  const std::int64_t rows = row_count(tensor.rows.shape());
  require(same_but_rows(tensor.global_shape, tensor.rows.shape()) && tensor.row_begin >= 0 &&
              tensor.row_begin <= all - rows,
          "checkpoint: '{}' has {} at row {}, which is no part of its shape {}", tensor.name, tensor.rows,
          tensor.row_begin, to_string(tensor.global_shape));
}

void require_valid(const sharding::StateTensor& tensor) {
  require_part(tensor);
  require(tensor.rows.defined() || tensor.rows.count() == 0,
          "checkpoint: '{}' has no values yet; call strategy.prepare(model, optimizer) first", tensor.name);
}

RowRange rows_to_save(const sharding::StateTensor& tensor, int rank, int world_size) {
  const std::int64_t all = row_count(tensor.global_shape);
  const std::int64_t held = row_count(tensor.rows.shape());
  if (tensor.sharded) {
    const RowRange mine = share_of(held, tensor.replica, tensor.replicas);
    return {tensor.row_begin + mine.begin, mine.rows};
  }
  require(held == all, "checkpoint: '{}' holds rows [{}, {}) of {} but is not marked sharded; set StateTensor::sharded",
          tensor.name, tensor.row_begin, tensor.row_begin + held, all);
  return share_of(all, rank, world_size);
}

bool saves_entry(const sharding::StateTensor& tensor, int rank, int world_size) {
  return rows_to_save(tensor, rank, world_size).rows > 0 || (rank == 0 && row_count(tensor.global_shape) == 0);
}

}  // namespace trireme::checkpoint
