// Copying elements between arrays of equal shape: any strides, any dtypes. Array::copy_from() is the way to call it.
#pragma once

namespace trireme {

class Array;

// target[i] = source[i], converted (to nearest even; floating to integer: truncated, saturated, NaN becomes 0).
// REQUIRES: equal shapes, both with storage, and no overlap unless both are contiguous and of one dtype.
void copy_elements(const Array& target, const Array& source);

}  // namespace trireme
