// Gradients as bf16 in the memory that they have as f32: an array's first half takes what it is rounded to, its last
// half what it is widened from. Flat contiguous f32 arrays; on parallel_for.
#pragma once

#include "trireme/core/array/array.h"

namespace trireme::strategies {

// To bf16 and back: the array stays f32.
void round_through_bf16(const Array& array);

// Rounds the array; the result is bf16, in the first half of its memory. The f32 elements are gone.
Array narrow_in_place(const Array& array);

// The last half of the array's memory, as bf16, of as many elements; and the array from what is there.
Array last_half(const Array& array);
void widen_in_place(const Array& array);

}  // namespace trireme::strategies
