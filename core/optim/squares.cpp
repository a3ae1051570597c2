#include "trireme/core/optim/squares.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/optim/squares.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

constexpr int kPartials = 16;

using Wide = hn::CappedTag<double, kPartials>;
using Narrow = hn::Rebind<float, Wide>;
using V = hn::Vec<Narrow>;

// Adds the squares of sixteen numbers to the sixteen partial sums.
struct Partials {
  HWY_INLINE void add_block(const float* block) {
    const Wide wide;
    const Narrow narrow;
    const std::size_t lanes = hn::Lanes(wide);
    for (std::size_t i = 0; i < kPartials; i += lanes) {
      const auto x = hn::PromoteTo(wide, hn::LoadU(narrow, block + i));
      hn::Store(hn::MulAdd(x, x, hn::Load(wide, sums + i)), wide, sums + i);
    }
  }
  HWY_INLINE double total() const {
    double tree[kPartials];
    std::memcpy(tree, sums, sizeof(tree));
    for (int half = kPartials / 2; half > 0; half /= 2) {
      for (int i = 0; i < half; ++i) {
        tree[i] += tree[i + half];
      }
    }
    return tree[0];
  }

  HWY_ALIGN double sums[kPartials] = {};
};

double plain_kernel(const float* values, std::int64_t count) {
  Partials partials;
  std::int64_t i = 0;
  for (; i + kPartials <= count; i += kPartials) {
    partials.add_block(values + i);
  }
  if (i < count) {
    float rest[kPartials] = {};
    std::memcpy(rest, values + i, static_cast<std::size_t>(count - i) * sizeof(float));
    partials.add_block(rest);
  }
  return partials.total();
}

double decayed_kernel(float scale, const float* gradient, float decay, const float* value, std::int64_t count) {
  const hn::CappedTag<float, kPartials> d;
  Partials partials;
  for (std::int64_t i = 0; i < count; i += kPartials) {
    HWY_ALIGN float block[kPartials] = {};
    const std::int64_t left = count - i < kPartials ? count - i : kPartials;
    transform(
        d, left, block,
        [&](auto g, auto x) HWY_ATTR { return hn::MulAdd(hn::Set(d, decay), x, hn::Mul(hn::Set(d, scale), g)); },
        gradient + i, value + i);
    partials.add_block(block);
  }
  return partials.total();
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
namespace {
HWY_EXPORT(plain_kernel);
HWY_EXPORT(decayed_kernel);
}  // namespace

namespace optim {

double sum_of_squares(const float* values, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(plain_kernel)(values, count);
}

double sum_of_squares(float scale, const float* gradient, float decay, const float* value, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(decayed_kernel)(scale, gradient, decay, value, count);
}

}  // namespace optim
}  // namespace trireme
#endif
