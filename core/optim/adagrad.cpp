#include "trireme/core/optim/adagrad.h"

#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/optim/adagrad.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/simd-inl.h"
#include "trireme/core/optim/adagrad_step.h"
#include "trireme/core/optim/flat.h"
#include "trireme/core/optim/squares.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

HWY_INLINE V decayed(const optim::AdagradStep& s, V gradient, V value) {
  const D d;
  return hn::MulAdd(hn::Set(d, s.decay), value, hn::Mul(hn::Set(d, s.gradient_scale), gradient));
}

HWY_INLINE void advance(const optim::AdagradStep& s, V gradient, V& value, V& sum) {
  const D d;
  const V g = decayed(s, gradient, value);
  sum = hn::MulAdd(g, g, sum);
  const V divisor = hn::Add(hn::Sqrt(sum), hn::Set(d, s.epsilon));
  value = hn::NegMulAdd(hn::Set(d, s.learning_rate), hn::Div(g, divisor), value);
}

void adagrad_kernel(const optim::AdagradStep& step, const float* HWY_RESTRICT gradient, float* HWY_RESTRICT value,
                    float* HWY_RESTRICT sum, std::int64_t count) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    V x = hn::LoadU(d, value + i), s = hn::LoadU(d, sum + i);
    advance(step, hn::LoadU(d, gradient + i), x, s);
    hn::StoreU(x, d, value + i);
    hn::StoreU(s, d, sum + i);
  }
  if (i < count) {
    const auto left = static_cast<std::size_t>(count - i);
    V x = load_tail(d, value + i, left), s = load_tail(d, sum + i, left);
    advance(step, load_tail(d, gradient + i, left), x, s);
    store_tail(x, d, value + i, left);
    store_tail(s, d, sum + i, left);
  }
}

// A row with its step size fixed: value -= rate * (scale * gradient + decay * value).
void row_kernel(const optim::AdagradStep& step, float rate, const float* gradient, float* value, std::int64_t count) {
  const D d;
  transform(
      d, count, value, [&](V g, V x) HWY_ATTR { return hn::NegMulAdd(hn::Set(d, rate), decayed(step, g, x), x); },
      gradient, value);
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
namespace {
HWY_EXPORT(adagrad_kernel);
HWY_EXPORT(row_kernel);
}  // namespace

namespace optim {
namespace {

void check_options(const char* optimizer, const AdagradOptions& options) {
  require_usage(options.eps >= 0 && options.weight_decay >= 0,
                "{}: eps {} and weight decay {} given, numbers that are not negative expected", optimizer, options.eps,
                options.weight_decay);
}

AdagradStep step_of(const AdagradOptions& options, double learning_rate, double gradient_scale) {
  return {static_cast<float>(gradient_scale), static_cast<float>(options.weight_decay),
          static_cast<float>(learning_rate), static_cast<float>(options.eps)};
}

void update_row(const AdagradStep& step, const float* gradient, float* value, float* sum, std::int64_t row) {
  const double squares = sum_of_squares(step.gradient_scale, gradient, step.decay, value, row);
  *sum += static_cast<float>(squares / static_cast<double>(row));
  const float rate = step.learning_rate / (std::sqrt(*sum) + step.epsilon);
  HWY_DYNAMIC_DISPATCH(row_kernel)(step, rate, gradient, value, row);
}

}  // namespace

Adagrad::Adagrad(const AdagradOptions& options) : Optimizer(options.lr), options_(options) {
  check_options("Adagrad", options);
}

void Adagrad::update_slot(Slot& slot, const Gradient& gradient, double gradient_scale) {
  const AdagradStep step = step_of(options_, learning_rate(), gradient_scale);
  const float* g = gradient.values();
  float* value = slot.value.data<float>();
  float* sum = slot.state[0].data<float>();
  for_each_piece(slot, gradient, [&](std::int64_t from, std::int64_t begin, std::int64_t count) {
    HWY_DYNAMIC_DISPATCH(adagrad_kernel)(step, g + from, value + begin, sum + begin, count);
  });
}

RowwiseAdagrad::RowwiseAdagrad(const AdagradOptions& options) : Optimizer(options.lr), options_(options) {
  check_options("RowwiseAdagrad", options);
}

void RowwiseAdagrad::update_slot(Slot& slot, const Gradient& gradient, double gradient_scale) {
  const AdagradStep step = step_of(options_, learning_rate(), gradient_scale);
  const std::int64_t row = row_length(slot.shape);
  const float* g = gradient.values();
  float* value = slot.value.data<float>();
  float* sums = slot.state[0].data<float>();
  for_each_row(slot, gradient, [&](std::int64_t from, std::int64_t r) {
    update_row(step, g + from * row, value + r * row, sums + r, row);
  });
}

}  // namespace optim
}  // namespace trireme
#endif
