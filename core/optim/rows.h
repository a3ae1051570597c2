// Rows of a parameter: the pieces by which sparse tables are updated and gradient norms are summed.
#pragma once

#include <cstdint>

#include "trireme/core/base/shape.h"

namespace trireme::optim {

// Elements of a row: of a parameter of two or more dims everything behind dim 0; of others one element.
std::int64_t row_length(const Shape& parameter);

// Calls update(first, last) for each maximal run of rows within [begin, end) that have an element other than zero. A
// row whose gradient is all zeros counts as untouched: lazy updates leave it alone. `gradient` points to row 0.
template <class Update>
void for_each_touched(const float* gradient, std::int64_t row, std::int64_t begin, std::int64_t end,
                      const Update& update) {
  const auto touched = [&](std::int64_t r) {
    for (std::int64_t i = r * row; i < (r + 1) * row; ++i) {
      if (gradient[i] != 0) {
        return true;
      }
    }
    return false;
  };
  for (std::int64_t r = begin; r < end;) {
    std::int64_t last = r;
    while (last < end && touched(last)) {
      ++last;
    }
    if (last > r) {
      update(r, last);
    }
    r = last + 1;  // row `last` is untouched, or the end
  }
}

}  // namespace trireme::optim
