#include "trireme/strategies/parameter_server/server/sparse_table.h"

#include <cstring>

namespace trireme::strategies::parameter_server {
namespace {

constexpr std::int32_t kChunkRows = 4096;

void copy_row(const float* from, float* to, std::int64_t count) {
  std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(float));
}

}  // namespace

SparseTable::SparseTable(Layout layout) : layout_(std::move(layout)) {}

float* SparseTable::place(std::size_t field, std::int32_t row) const {
  const Array& chunk = chunks_[static_cast<std::size_t>(row / kChunkRows)][field];
  return chunk.data<float>() + (row % kChunkRows) * length(field);
}

void SparseTable::fill_first(std::int64_t row, float* out) const {
  const Array values = Array::empty({layout_.row});
  layout_.init.fill(layout_.seed, layout_.name, row * layout_.row, values);
  copy_row(values.data<float>(), out, layout_.row);
}

void SparseTable::add_chunk() {
  std::vector<Array> fields;
  for (std::size_t field = 0; field <= layout_.states.size(); ++field) {
    fields.push_back(Array::zeros({kChunkRows * length(field)}));
  }
  chunks_.push_back(std::move(fields));
}

void SparseTable::read(std::span<const std::int64_t> rows, float* out) const {
  for (const std::int64_t row : rows) {
    const std::int32_t at = index_.find(row);
    if (at >= 0) {
      copy_row(place(0, at), out, layout_.row);
    } else {
      fill_first(row, out);
    }
    out += layout_.row;
  }
}

void SparseTable::take(std::span<const std::int64_t> rows, float* values, std::span<float* const> states) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t before = index_.size();
    const std::int32_t at = index_.find_or_add(rows[i]);
    if (at == before) {
      if (at % kChunkRows == 0) {
        add_chunk();
      }
      fill_first(rows[i], place(0, at));
    }
    copy_row(place(0, at), values + static_cast<std::int64_t>(i) * layout_.row, layout_.row);
    for (std::size_t s = 0; s < states.size(); ++s) {
      copy_row(place(s + 1, at), states[s] + static_cast<std::int64_t>(i) * layout_.states[s], layout_.states[s]);
    }
  }
}

void SparseTable::put(std::span<const std::int64_t> rows, const float* values, std::span<float* const> states) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int32_t at = index_.find(rows[i]);
    copy_row(values + static_cast<std::int64_t>(i) * layout_.row, place(0, at), layout_.row);
    for (std::size_t s = 0; s < states.size(); ++s) {
      copy_row(states[s] + static_cast<std::int64_t>(i) * layout_.states[s], place(s + 1, at), layout_.states[s]);
    }
  }
}

}  // namespace trireme::strategies::parameter_server
