// Where an op that looks rows up finds them. For the sources of this folder.
#pragma once

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

struct TableRows {
  Array rows;     // [n, D], contiguous
  Array indices;  // as given, but into `rows`
};

// The table and the indices as they are; of a table whose values are not in this process (a parameter without data) the
// rows that the strategy brings. `indices`: contiguous integers. Raises Error for an index outside of such a table,
// and if there is no strategy that has it.
TableRows table_rows(const Tensor& table, const Array& indices);

}  // namespace trireme::ops
