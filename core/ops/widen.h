// Parameters with bf16 values beside f32 activations (mixed precision). Internal to core/ops.
//
// Activations are f32 or f64, never bf16: an op that meets a bf16 operand computes as if it had been widened to f32
// (exactly) first, gives an f32 result, and f32 gradients. Matrix products are the exception: product.h.
#pragma once

#include "trireme/core/array/array.h"

namespace trireme::ops {

// True if an op on activations of dtype `activation` takes a parameter of dtype `parameter`: the same, or bf16 beside
// f32.
constexpr bool takes_parameter(DType activation, DType parameter) {
  return parameter == activation || (activation == DType::f32 && parameter == DType::bf16);
}

// x, or an f32 copy of a bf16 array.
inline Array widened(const Array& x) { return x.dtype() == DType::bf16 ? x.to(DType::f32) : x; }

}  // namespace trireme::ops
