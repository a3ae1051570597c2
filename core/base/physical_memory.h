// How much memory the machine has, to refuse early what can never fit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trireme {

// Bytes of memory that the machine has; 0 where the system does not say.
std::int64_t physical_memory();
// False for what can never fit: the kernel promises more than there is, and ends the process later without a word.
bool fits_in_memory(std::size_t bytes);

}  // namespace trireme
