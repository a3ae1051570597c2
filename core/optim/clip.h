// The pieces of a global gradient norm that has the same bits however rows are spread over ranks.
//
// norm^2 is the sum over all rows of all gradients of the row's sum of squares. A row's sum is computed in f64 in one
// fixed order (rows.h says what a row is; it is never cut between ranks); rows are added exactly, so their order and
// owner do not matter. Each rank calls add_squares() for the rows it has, the limbs of the sums are added over the
// ranks, and every rank has the same norm.
#pragma once

#include <cmath>

#include "trireme/core/array/array.h"
#include "trireme/core/base/exact_sum.h"

namespace trireme::optim {

// Adds the squares of some whole rows of a gradient: contiguous f32 of any shape, rows of `row_length` elements (see
// row_length() in rows.h). Raises Error if that does not divide the number of elements.
void add_squares(ExactSum& sum, const Array& rows, std::int64_t row_length);

inline double norm_of(const ExactSum& squares) { return std::sqrt(squares.value()); }

// By what gradients are multiplied so that their norm is at most `max_norm`: min(1, max_norm / (norm + 1e-6)), as
// PyTorch's clip_grad_norm_. 1 if max_norm is 0: no clipping. A norm that is NaN gives NaN, so that it is seen.
inline double clip_factor(double norm, double max_norm) {
  if (max_norm == 0) {
    return 1;
  }
  const double factor = max_norm / (norm + 1e-6);
  return factor > 1 ? 1 : factor;
}

}  // namespace trireme::optim
