#include "trireme/core/base/instruction_set.h"

#include <hwy/targets.h>

#include <dnnl.hpp>

namespace trireme {

std::string kernel_instruction_set() {
  const auto supported = hwy::SupportedTargets();
  if ((supported & HWY_AVX3) != 0) {
    return "AVX-512";
  }
  return (supported & HWY_AVX2) != 0 ? "AVX2" : "baseline";
}

std::string matrix_instruction_set() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return "sse41";
    case dnnl::cpu_isa::avx:
      return "avx";
    case dnnl::cpu_isa::avx2:
      return "avx2";
    case dnnl::cpu_isa::avx2_vnni:
      return "avx2_vnni";
    case dnnl::cpu_isa::avx512_core:
      return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "avx512_core_bf16";
    case dnnl::cpu_isa::avx512_core_amx:
      return "avx512_core_amx";
    default:
      return "plain";
  }
}

}  // namespace trireme
