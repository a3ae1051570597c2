// The loops below elementwise.h: one dispatch to the best instruction set for a run of elements.
#pragma once

#include <cstdint>

#include "trireme/core/ops/elementwise.h"

namespace trireme::ops {

// One operand of a row: a step of 1 reads consecutive elements, 0 repeats the first.
struct Operand {
  const void* data = nullptr;
  int step = 1;
};

// out[i] = f(in[i]) for i in [0, count); all of dtype f32 or f64. `out` may be an operand with step 1.
void unary_row(UnaryOp op, DType dtype, const void* x, void* out, std::int64_t count, Parameters parameters);
void unary_gradient_row(UnaryOp op, DType dtype, const void* gradient, const void* saved, void* out, std::int64_t count,
                        Parameters parameters);
void binary_row(BinaryOp op, DType dtype, Operand a, Operand b, void* out, std::int64_t count);
void ternary_row(TernaryOp op, DType dtype, Operand a, Operand b, Operand c, void* out, std::int64_t count);

}  // namespace trireme::ops
