#include "trireme/core/array/scale.h"

namespace trireme {

void scale(const Array& values, double factor) {
  const auto multiplier = static_cast<float>(factor);
  for (float& element : values.span<float>()) {
    element *= multiplier;
  }
}

}  // namespace trireme
