// SparseTable: rows of an embedding table that begin to exist when they are first touched, with the first values that
// the seed gives them, so a table costs what is used of it. Each row has its optimizer state beside it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "trireme/core/nn/module.h"
#include "trireme/strategies/parameter_server/server/row_index.h"

namespace trireme::strategies::parameter_server {

class SparseTable {
 public:
  struct Layout {
    std::string name;  // the table's: its first values depend on it
    nn::Init init = {};
    std::uint64_t seed = 0;
    std::int64_t row = 1;                   // elements
    std::vector<std::int64_t> states = {};  // elements of each state of a row
  };

  explicit SparseTable(Layout layout);

  // Copies the rows' values to `out` (flat f32, one row after another); untouched rows have their first values, and
  // stay untouched: reading creates nothing.
  void read(std::span<const std::int64_t> rows, const Array& out) const;
  // The same of values and states of rows to be updated, which exist from now on. `states[i]` like `values`.
  void take(std::span<const std::int64_t> rows, float* values, std::span<float* const> states);
  // Puts back what take() gave and somebody has updated. REQUIRES: the rows exist.
  void put(std::span<const std::int64_t> rows, const float* values, std::span<float* const> states);

  std::int64_t rows_in_memory() const { return index_.size(); }

 private:
  // Field 0: values; then the states.
  float* place(std::size_t field, std::int32_t row) const;
  std::int64_t length(std::size_t field) const { return field == 0 ? layout_.row : layout_.states[field - 1]; }
  std::int32_t find_or_make(std::int64_t row);
  void add_chunk();

  Layout layout_;
  RowIndex index_;
  std::vector<std::vector<Array>> chunks_;  // [chunk][field]
};

}  // namespace trireme::strategies::parameter_server
