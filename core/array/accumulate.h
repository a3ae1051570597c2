// target += source: the one addition with which gradients, lane partials and collectives are summed.
#pragma once

#include "trireme/core/array/array.h"

namespace trireme {

// target[i] += source[i] for contiguous arrays of the same shape and dtype (any numeric dtype; bf16 and f16 are added
// in f32 and rounded once). The bits of an element do not depend on its position. Runs on parallel_for.
void accumulate(const Array& target, const Array& source);

}  // namespace trireme
