// Errors of the elementary functions of core/ops/simd-inl.h against libm in f64, on every instruction set at hand.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/core/ops/elementary_functions_test.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/ops/simd-inl.h"

#ifndef TRIREME_TESTS_FUNCTION_ERRORS
#define TRIREME_TESTS_FUNCTION_ERRORS
namespace trireme {
struct FunctionErrors {
  double exp = 0;      // in units of the last place
  double sigmoid = 0;  // likewise
  double tanh = 0;     // absolute
  float exp_low = 0, exp_high = 0, exp_nan = 0;
};
}  // namespace trireme
#endif

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

double units(float got, double expected) {
  const auto rounded = static_cast<float>(std::abs(expected));
  const float unit = std::nextafterf(rounded, std::numeric_limits<float>::infinity()) - rounded;
  return std::abs(static_cast<double>(got) - expected) / static_cast<double>(unit);
}

void measure(FunctionErrors& errors) {
  const hn::CappedTag<float, 1> d;
  const auto value = [&](auto v) HWY_ATTR { return hn::GetLane(v); };
  for (int i = -100000; i <= 88000; ++i) {
    const float x = static_cast<float>(i) * 0.001f;
    const auto wide = static_cast<double>(x);
    errors.exp = std::max(errors.exp, units(value(exp(d, hn::Set(d, x))), std::exp(wide)));
    if (std::abs(x) < 79) {
      errors.sigmoid = std::max(errors.sigmoid, units(value(sigmoid(d, hn::Set(d, x))), 1 / (1 + std::exp(-wide))));
      const double off = static_cast<double>(value(fast_tanh(d, hn::Set(d, x)))) - std::tanh(wide);
      errors.tanh = std::max(errors.tanh, std::abs(off));
    }
  }
  const float infinity = std::numeric_limits<float>::infinity();
  errors.exp_low = value(exp(d, hn::Set(d, -infinity)));
  errors.exp_high = value(exp(d, hn::Set(d, infinity)));
  errors.exp_nan = value(exp(d, hn::Set(d, std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
HWY_EXPORT(measure);
namespace {

TEST(ElementaryFunctions, AreWithinTheirBoundsOnEveryInstructionSet) {
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    FunctionErrors errors;
    HWY_DYNAMIC_DISPATCH(measure)(errors);
    EXPECT_LE(errors.exp, 1.01) << hwy::TargetName(target);
    EXPECT_LE(errors.sigmoid, 4) << hwy::TargetName(target);
    EXPECT_LE(errors.tanh, 3e-7) << hwy::TargetName(target);
    EXPECT_EQ(errors.exp_low, 0) << hwy::TargetName(target);
    EXPECT_TRUE(std::isinf(errors.exp_high)) << hwy::TargetName(target);
    EXPECT_TRUE(std::isnan(errors.exp_nan)) << hwy::TargetName(target);
  }
  hwy::SetSupportedTargetsForTest(0);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace
}  // namespace trireme
#endif
