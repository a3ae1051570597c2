// Dropout whose mask is a pure function of the step, so that recomputation and any layout of ranks see the same one.
#pragma once

#include <cstdint>

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// Each element is zeroed with probability p, the others are divided by 1 - p. x is f32 or f64; 0 <= p <= 1.
//
// The mask of element e is a function of (seed, step, leaf) of step_context(), of `instance` (module path and call
// number, hashed: two dropouts of one step need two instances) and of e. Nothing is saved: backward makes the mask
// again. p is applied with a resolution of 2^-32.
Tensor dropout(const Tensor& x, double p, std::uint64_t instance);

}  // namespace trireme::ops
