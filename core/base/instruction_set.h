// Which vector instructions this process really uses: chosen at run time, never by the machine that compiled.
#pragma once

#include <string>

namespace trireme {

// Of our own kernels: "AVX-512", "AVX2" or "baseline". Among these three the best that the processor has.
std::string kernel_instruction_set();
// Of the matrix-product library (oneDNN), in its own words: "avx512_core_bf16", "avx2", ...
std::string matrix_instruction_set();

}  // namespace trireme
