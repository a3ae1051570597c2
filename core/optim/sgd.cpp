#include "trireme/core/optim/sgd.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/optim/sgd.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/simd-inl.h"
#include "trireme/core/optim/flat.h"
#include "trireme/core/optim/sgd_step.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

HWY_INLINE V decayed(const optim::SgdStep& s, V gradient, V value) {
  const D d;
  return hn::MulAdd(hn::Set(d, s.decay), value, hn::Mul(hn::Set(d, s.gradient_scale), gradient));
}

void sgd_kernel(const optim::SgdStep& step, const float* gradient, float* value, std::int64_t count) {
  const D d;
  transform(
      d, count, value,
      [&](V g, V x) HWY_ATTR { return hn::NegMulAdd(hn::Set(d, step.learning_rate), decayed(step, g, x), x); },
      gradient, value);
}

HWY_INLINE void advance(const optim::SgdStep& s, V gradient, V& value, V& buffer) {
  const D d;
  const V g = decayed(s, gradient, value);
  const V momentum = hn::Set(d, s.momentum);
  buffer = hn::MulAdd(momentum, buffer, g);
  const V direction = s.nesterov ? hn::MulAdd(momentum, buffer, g) : buffer;
  value = hn::NegMulAdd(hn::Set(d, s.learning_rate), direction, value);
}

void momentum_kernel(const optim::SgdStep& step, const float* HWY_RESTRICT gradient, float* HWY_RESTRICT value,
                     float* HWY_RESTRICT buffer, std::int64_t count) {
  const D d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    V x = hn::LoadU(d, value + i), b = hn::LoadU(d, buffer + i);
    advance(step, hn::LoadU(d, gradient + i), x, b);
    hn::StoreU(x, d, value + i);
    hn::StoreU(b, d, buffer + i);
  }
  if (i < count) {
    const auto left = static_cast<std::size_t>(count - i);
    V x = load_tail(d, value + i, left), b = load_tail(d, buffer + i, left);
    advance(step, load_tail(d, gradient + i, left), x, b);
    store_tail(x, d, value + i, left);
    store_tail(b, d, buffer + i, left);
  }
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
namespace {
HWY_EXPORT(sgd_kernel);
HWY_EXPORT(momentum_kernel);
}  // namespace

namespace optim {

SGD::SGD(const SGDOptions& options) : Optimizer(options.lr), options_(options) {
  require_usage(
      options.momentum >= 0 && options.momentum < 1 && options.weight_decay >= 0,
      "SGD: momentum {} and weight decay {} given; momentum in [0, 1) and a decay that is not negative expected",
      options.momentum, options.weight_decay);
  require_usage(!options.nesterov || options.momentum > 0,
                "SGD: nesterov given with momentum 0; give a positive momentum");
}

std::vector<std::string> SGD::state_names() const {
  return options_.momentum > 0 ? std::vector<std::string>{"momentum_buffer"} : std::vector<std::string>{};
}

void SGD::update_slot(Slot& slot, const Gradient& gradient, double gradient_scale) {
  const SgdStep step{static_cast<float>(gradient_scale), static_cast<float>(options_.weight_decay),
                     static_cast<float>(learning_rate()), static_cast<float>(options_.momentum), options_.nesterov};
  const float* g = gradient.values();
  float* value = slot.value.data<float>();
  float* buffer = slot.state.empty() ? nullptr : slot.state[0].data<float>();
  for_each_piece(slot, gradient, [&](std::int64_t from, std::int64_t begin, std::int64_t count) {
    if (buffer == nullptr) {
      HWY_DYNAMIC_DISPATCH(sgd_kernel)(step, g + from, value + begin, count);
    } else {
      HWY_DYNAMIC_DISPATCH(momentum_kernel)(step, g + from, value + begin, buffer + begin, count);
    }
  });
}

}  // namespace optim
}  // namespace trireme
#endif
