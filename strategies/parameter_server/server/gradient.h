// Gradient: of a dense piece all its elements, of a sparse table the rows that were touched.
#pragma once

#include "trireme/core/array/array.h"

namespace trireme::strategies::parameter_server {

struct Gradient {
  Array rows;    // sparse: i64[n], ascending, each once; dense: undefined
  Array values;  // flat; sparse: n rows

  bool sparse() const { return rows.defined(); }
};

// A copy with memory of its own.
Gradient copy_of(const Gradient& gradient);
// to += from, element by element. Of a sparse one: rows of either are rows of the sum; those of both are added.
// REQUIRES: both dense and of one length, or both sparse.
void add(Gradient& to, const Gradient& from);

}  // namespace trireme::strategies::parameter_server
