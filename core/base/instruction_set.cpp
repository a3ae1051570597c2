#include "trireme/core/base/instruction_set.h"

#include <hwy/targets.h>

namespace trireme {

std::string kernel_instruction_set() {
  const auto supported = hwy::SupportedTargets();
  if ((supported & HWY_AVX3) != 0) {
    return "AVX-512";
  }
  return (supported & HWY_AVX2) != 0 ? "AVX2" : "baseline";
}

}  // namespace trireme
