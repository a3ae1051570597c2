// The inner loops of reductions: out[i] = a[i] op b[i], with run-time choice of the instruction set.
#pragma once

#include <cstdint>

#include "trireme/comm/communicator.h"

namespace trireme::comm {

// Combines `count` elements into out0 and, unless null, out1. An output may be an input; otherwise they do not overlap.
// `dtype` is f32, f64, i32, i64, u8 or boolean (halves are widened first, see reduce_slots.h).
// min and max keep `a` where an operand is NaN in `b`, and integers wrap.
void combine(DType dtype, ReduceOp op, const void* a, const void* b, void* out0, void* out1, std::int64_t count);

}  // namespace trireme::comm
