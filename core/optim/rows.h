// Rows of a parameter: the pieces by which sparse tables are updated and gradient norms are summed.
#pragma once

#include <cstdint>

#include "trireme/core/base/shape.h"

namespace trireme::optim {

// Elements of a row: of a parameter of two or more dims everything behind dim 0; of others one element.
std::int64_t row_length(const Shape& parameter);

}  // namespace trireme::optim
