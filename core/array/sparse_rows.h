// SparseRows: the rows of a table that are not zero, with their numbers. What the gradient of an embedding table is:
// its size is what a batch touched, never that of the table.
#pragma once

#include <cstdint>

#include "trireme/core/array/array.h"

namespace trireme {

struct SparseRows {
  Array rows;    // i64 [n]: row numbers, ascending, each once
  Array values;  // f32 [n, D], contiguous

  bool defined() const { return rows.defined(); }
  std::int64_t count() const { return defined() ? rows.count() : 0; }  // rows
};

// values[i] (f32 [n, D], contiguous) belongs to row indices[i] (i64 [n]); a row that comes several times gets the sum,
// added in the order of i, whatever the number of threads. Raises Error for other shapes or dtypes, or an index below
// 0.
SparseRows sum_duplicates(const Array& indices, const Array& values);

// left + right: a row that only one of them has is taken as it is, never added to zero. Either may be undefined, which
// is no rows; of an undefined and a defined one the result shares the arrays. Raises Error if the rows differ in
// length.
SparseRows add_rows(const SparseRows& left, const SparseRows& right);

// The rows whose numbers are in [begin, end), as views.
SparseRows rows_between(const SparseRows& all, std::int64_t begin, std::int64_t end);

}  // namespace trireme
