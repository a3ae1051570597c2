// values *= factor: gradients whose weight is only known afterwards.
#pragma once

#include "trireme/core/array/array.h"

namespace trireme {

// Multiplies each element of a contiguous f32 array by `factor`, rounded to f32 once. On the calling thread.
void scale(const Array& values, double factor);

}  // namespace trireme
