// Global gradient norm and clipping, with the same bits however the rows of parameters are spread over ranks.
#pragma once

#include <cstdint>

#include "trireme/core/array/array.h"
#include "trireme/core/base/exact_sum.h"

namespace trireme::optim {

// Adds the squares of rows [row_begin, row_end) (dim 0; a scalar is one row) of a contiguous f32 gradient to `sum`. A row
// is summed in f64 in one fixed order, rows are added exactly: every partition of the rows gives the same sum.
void add_squared_rows(const Array& gradient, std::int64_t row_begin, std::int64_t row_end, ExactSum& sum);

// min(1, max_norm / (norm + 1e-6)) as PyTorch's clip_grad_norm_; 1 if max_norm is 0 (no clipping). NaN stays NaN.
double clip_factor(double norm, double max_norm);

}  // namespace trireme::optim
