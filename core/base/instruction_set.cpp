#include "trireme/core/base/instruction_set.h"

#include <hwy/targets.h>

#include <atomic>

namespace trireme {
namespace {

constinit std::atomic<bool> native_bf16_allowed{true};

bool processor_has_bf16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16") != 0;
#else
  return false;
#endif
}

}  // namespace

std::string kernel_instruction_set() {
  const auto supported = hwy::SupportedTargets();
  if ((supported & HWY_AVX3) != 0) {
    return "AVX-512";
  }
  return (supported & HWY_AVX2) != 0 ? "AVX2" : "baseline";
}

bool native_bf16() {
  static const bool present = processor_has_bf16();
  return present && (hwy::SupportedTargets() & HWY_AVX3) != 0 && native_bf16_allowed.load(std::memory_order_relaxed);
}

void allow_native_bf16(bool allowed) { native_bf16_allowed.store(allowed, std::memory_order_relaxed); }

}  // namespace trireme
