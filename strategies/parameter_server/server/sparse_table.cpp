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

void SparseTable::add_chunk() {
  std::vector<Array> fields;
  for (std::size_t field = 0; field <= layout_.states.size(); ++field) {
    fields.push_back(Array::zeros({kChunkRows * length(field)}));
  }
  chunks_.push_back(std::move(fields));
}

// Untouched neighbours are made together: most of a large table is.
void SparseTable::read(std::span<const std::int64_t> rows, const Array& out) const {
  float* const to = out.data<float>();
  for (std::size_t i = 0; i < rows.size();) {
    const auto first = static_cast<std::int64_t>(i) * layout_.row;
    const std::int32_t at = index_.find(rows[i]);
    if (at >= 0) {
      copy_row(place(0, at), to + first, layout_.row);
      ++i;
      continue;
    }
    std::size_t end = i + 1;
    while (end < rows.size() && rows[end] == rows[end - 1] + 1 && index_.find(rows[end]) < 0) {
      ++end;
    }
    const std::int64_t count = static_cast<std::int64_t>(end - i) * layout_.row;
    layout_.init.fill(layout_.seed, layout_.name, rows[i] * layout_.row, out.narrow(0, first, count));
    i = end;
  }
}

std::int32_t SparseTable::find_or_make(std::int64_t row) {
  const std::int64_t before = index_.size();
  const std::int32_t at = index_.find_or_add(row);
  if (at == before) {
    if (at % kChunkRows == 0) {
      add_chunk();
    }
    const Array& values = chunks_.back()[0];
    layout_.init.fill(layout_.seed, layout_.name, row * layout_.row,
                      values.narrow(0, (at % kChunkRows) * layout_.row, layout_.row));
  }
  return at;
}

void SparseTable::take(std::span<const std::int64_t> rows, float* values, std::span<float* const> states) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int32_t at = find_or_make(rows[i]);
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
