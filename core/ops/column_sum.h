// Sums over the rows of a matrix: the gradient of a bias.
#pragma once

#include "trireme/core/array/array.h"

namespace trireme::ops {

// target[j] (+)= sum over i of x[i, j], for contiguous x [rows, columns] and target [columns], f32 or f64. Rows are
// summed in groups of a fixed size and the groups' sums in order, so that long sums stay accurate. Runs on
// parallel_for.
void column_sum(const Array& x, const Array& target, bool accumulate);

}  // namespace trireme::ops
