// Reductions: sum, mean and maximum over all or some dims, and the index of the maximum.
//
// Dims may be negative (from the end). With `keepdim` reduced dims stay with size 1; else they go. Bits do not depend
// on the number of threads.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// Over all elements, to a scalar (shape []). The sum of nothing is 0; mean and max of nothing raise Error.
Tensor sum(const Tensor& x);
Tensor mean(const Tensor& x);
Tensor max(const Tensor& x);

Tensor sum(const Tensor& x, std::initializer_list<int> dims, bool keepdim = false);
Tensor mean(const Tensor& x, std::initializer_list<int> dims, bool keepdim = false);
// Elements that share a maximum share its gradient equally. NaN wins.
Tensor max(const Tensor& x, std::initializer_list<int> dims, bool keepdim = false);

// The index of the first largest element along `dim`, which goes: i64. Raises Error if the dim is empty.
Array argmax(const Array& x, int dim);

}  // namespace trireme::ops
