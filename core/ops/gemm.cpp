#include "trireme/core/ops/gemm.h"

#include <algorithm>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/gemm.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/ops/gemm_panels-inl.h"
#include "trireme/core/ops/gemm_step-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

void gemm_f32(const ops::GemmArgs<float>& args) { multiply<PlainPanels<float>, Fused<float>>(args); }
void gemm_f64(const ops::GemmArgs<double>& args) { multiply<PlainPanels<double>, Fused<double>>(args); }

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
HWY_EXPORT(gemm_f32);
HWY_EXPORT(gemm_f64);
}  // namespace trireme

namespace trireme::ops {

void gemm(const GemmArgs<float>& args) { HWY_DYNAMIC_DISPATCH(gemm_f32)(args); }
void gemm(const GemmArgs<double>& args) { HWY_DYNAMIC_DISPATCH(gemm_f64)(args); }

}  // namespace trireme::ops
#endif
