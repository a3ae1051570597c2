#include <algorithm>
#include <cstring>

#include "trireme/core/base/instruction_set.h"
#include "trireme/core/ops/gemm.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/gemm_bf16.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/ops/gemm_pairs-inl.h"
#include "trireme/core/ops/gemm_step-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

void gemm_bf16(const ops::GemmArgs<BFloat16>& args) {
#if HWY_TARGET <= HWY_AVX3
  if (native_bf16()) {
    return multiply<PairPanels, NativePairs>(args);
  }
#endif
  multiply<PairPanels, PlainPairs>(args);
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
HWY_EXPORT(gemm_bf16);
}  // namespace trireme

namespace trireme::ops {

void gemm(const GemmArgs<BFloat16>& args) { HWY_DYNAMIC_DISPATCH(gemm_bf16)(args); }

}  // namespace trireme::ops
#endif
