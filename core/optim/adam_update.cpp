#include "trireme/core/optim/adam_update.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/optim/adam_update.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/simd-inl.h"
#include "trireme/core/optim/flat.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

HWY_INLINE void advance(const optim::AdamStep& s, V gradient, V& value, V& m, V& v) {
  const D d;
  const V g = hn::MulAdd(hn::Set(d, s.l2), value, hn::Mul(hn::Set(d, s.gradient_scale), gradient));
  m = hn::MulAdd(hn::Set(d, s.beta1), m, hn::Mul(hn::Set(d, s.one_minus_beta1), g));
  v = hn::MulAdd(hn::Set(d, s.beta2), v, hn::Mul(hn::Set(d, s.one_minus_beta2), hn::Mul(g, g)));
  const V divisor = hn::MulAdd(hn::Sqrt(v), hn::Set(d, s.inverse_root), hn::Set(d, s.epsilon));
  value = hn::NegMulAdd(hn::Set(d, s.step_size), hn::Div(m, divisor), hn::Mul(hn::Set(d, s.keep), value));
}

void adam_kernel(const optim::AdamStep& step, const float* HWY_RESTRICT gradient, float* HWY_RESTRICT value,
                 float* HWY_RESTRICT m, float* HWY_RESTRICT v, std::int64_t count) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    V x = hn::LoadU(d, value + i), first = hn::LoadU(d, m + i), second = hn::LoadU(d, v + i);
    advance(step, hn::LoadU(d, gradient + i), x, first, second);
    hn::StoreU(x, d, value + i);
    hn::StoreU(first, d, m + i);
    hn::StoreU(second, d, v + i);
  }
  if (i < count) {
    const auto left = static_cast<std::size_t>(count - i);
    V x = load_tail(d, value + i, left), first = load_tail(d, m + i, left), second = load_tail(d, v + i, left);
    advance(step, load_tail(d, gradient + i, left), x, first, second);
    store_tail(x, d, value + i, left);
    store_tail(first, d, m + i, left);
    store_tail(second, d, v + i, left);
  }
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
namespace {
HWY_EXPORT(adam_kernel);
}  // namespace

namespace optim {

AdamStep adam_step(const AdamRule& rule, std::int64_t t, double gradient_scale) {
  const double correction1 = 1 - std::pow(rule.beta1, static_cast<double>(t));
  const double correction2 = 1 - std::pow(rule.beta2, static_cast<double>(t));
  return {.gradient_scale = static_cast<float>(gradient_scale),
          .l2 = static_cast<float>(rule.l2),
          .beta1 = static_cast<float>(rule.beta1),
          .one_minus_beta1 = static_cast<float>(1 - rule.beta1),
          .beta2 = static_cast<float>(rule.beta2),
          .one_minus_beta2 = static_cast<float>(1 - rule.beta2),
          .keep = static_cast<float>(1 - rule.learning_rate * rule.decay),
          .step_size = static_cast<float>(rule.learning_rate / correction1),
          .inverse_root = static_cast<float>(1 / std::sqrt(correction2)),
          .epsilon = static_cast<float>(rule.epsilon)};
}

void adam_update(const AdamStep& step, Slot& slot, const Gradient& gradient) {
  const float* g = gradient.values();
  float* value = slot.value.data<float>();
  float* m = slot.state[0].data<float>();
  float* v = slot.state[1].data<float>();
  for_each_piece(slot, gradient, [&](std::int64_t from, std::int64_t begin, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(adam_kernel)(step, g + from, value + begin, m + begin, v + begin, count);
  });
}

void check_adam_rule(const char* optimizer, const AdamRule& rule) {
  require_usage(rule.beta1 >= 0 && rule.beta1 < 1 && rule.beta2 >= 0 && rule.beta2 < 1,
                "{}: betas {} and {} given, numbers in [0, 1) expected", optimizer, rule.beta1, rule.beta2);
  require_usage(rule.epsilon >= 0 && rule.l2 >= 0 && rule.decay >= 0,
                "{}: epsilon {} and weight decay {} given, numbers that are not negative expected", optimizer,
                rule.epsilon, rule.l2 + rule.decay);
}

}  // namespace optim
}  // namespace trireme
#endif
