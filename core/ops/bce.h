// Binary cross-entropy on logits.
#pragma once

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// The mean over all elements of -t log(s) - (1 - t) log(1 - s) with s = sigmoid(logit), computed without overflow for
// any logit; a scalar whose weight() is their number. Equal shapes, f32 or f64; targets, usually 0 or 1, are data and
// of the logits' dtype. Raises Error for empty input.
Tensor binary_cross_entropy_with_logits(const Tensor& logits, const Array& targets);

}  // namespace trireme::ops
