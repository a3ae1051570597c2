// Which vector instructions this process really uses: chosen at run time, never by the machine that compiled.
#pragma once

#include <string>

namespace trireme {

// Of all kernels, matrix products included: "AVX-512", "AVX2" or "baseline". Among these three the best that the
// processor has.
std::string kernel_instruction_set();

// Whether matrix products of bf16 run on the processor's own instruction (AVX512_BF16); without it they give the same
// bits more slowly (core/ops/gemm.h).
bool native_bf16();
// For tests and comparisons: false makes products take the way of a processor without the instruction, until true is
// given. Of the process; not while products run.
void allow_native_bf16(bool allowed);

}  // namespace trireme
