// Conversion of runs of elements between f32 and bf16: what copies and rounded parameters are made with.
#pragma once

#include <cstdint>

#include "trireme/core/base/half.h"

namespace trireme {

// to[i] = from[i] for i in [0, count): rounded to nearest, ties to even; or widened, exactly. The bits are those of
// BFloat16(float) at any position and on every instruction set. The runs must not overlap. On the calling thread.
void round_row(const float* from, BFloat16* to, std::int64_t count);
void widen_row(const BFloat16* from, float* to, std::int64_t count);

}  // namespace trireme
