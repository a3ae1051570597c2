// Which vector instructions this process really uses: chosen at run time, never by the machine that compiled.
#pragma once

#include <string>

namespace trireme {

// Of all kernels, matrix products included: "AVX-512", "AVX2" or "baseline". Among these three the best that the
// processor has.
std::string kernel_instruction_set();

}  // namespace trireme
