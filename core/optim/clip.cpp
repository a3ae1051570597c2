#include "trireme/core/optim/clip.h"

#include <algorithm>

#include "trireme/core/optim/rows.h"
#include "trireme/core/optim/squares.h"

namespace trireme::optim {

void add_squared_rows(const Array& gradient, std::int64_t row_begin, std::int64_t row_end, ExactSum& sum) {
  const std::int64_t row = row_length(gradient.shape());
  require(gradient.is_contiguous() && row_begin >= 0 && row_begin <= row_end && row_end * row <= gradient.count(),
          "add_squared_rows: rows [{}, {}) of {}", row_begin, row_end, describe(gradient));
  if (row_begin == row_end || row == 0) {
    return;
  }
  const float* values = gradient.data<float>();
  for (std::int64_t r = row_begin; r < row_end; ++r) {
    sum.add(row == 1 ? static_cast<double>(values[r]) * static_cast<double>(values[r])
                     : sum_of_squares(values + r * row, row));
  }
}

double clip_factor(double norm, double max_norm) {
  if (max_norm == 0) {
    return 1;
  }
  const double factor = max_norm / (norm + 1e-6);
  return factor > 1 ? 1 : factor;
}

}  // namespace trireme::optim
