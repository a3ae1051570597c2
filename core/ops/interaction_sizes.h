// The sizes of dot_interaction, shared by the kernels of all instruction sets. For dot_interaction.cpp.
#pragma once

#include <cstdint>

namespace trireme::ops {

struct InteractionSizes {
  std::int64_t vectors;  // of an example
  std::int64_t width;    // of a vector

  std::int64_t result() const { return width + vectors * (vectors - 1) / 2; }
};

}  // namespace trireme::ops
