#include "trireme/core/ops/dropout.h"

#include <cmath>
#include <cstring>

#include "trireme/core/base/parallel.h"
#include "trireme/core/base/random.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/dropout.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

// Elements come in groups of 64: 16 blocks of Philox with four words each. Element 16 w + b of group g uses word w of
// the block with counter 16 g + b. So whole vectors of blocks are made at once, and the mapping is the same for every
// width.
constexpr std::size_t kBlocks = 16;
constexpr std::size_t kGroup = 4 * kBlocks;

// philox() of core/base/random.h for the blocks of one group side by side: loops that the compiler turns into vectors.
void random_words(std::uint64_t key, std::uint64_t stream, std::uint64_t group, std::uint32_t (&c)[4][kBlocks]) {
  const std::uint64_t first = group * kBlocks;  // so the upper half of the counter is the same for the group
  for (std::size_t b = 0; b < kBlocks; ++b) {
    c[0][b] = static_cast<std::uint32_t>(first) + static_cast<std::uint32_t>(b);
    c[1][b] = static_cast<std::uint32_t>(first >> 32);
    c[2][b] = static_cast<std::uint32_t>(stream);
    c[3][b] = static_cast<std::uint32_t>(stream >> 32);
  }
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    for (std::size_t b = 0; b < kBlocks; ++b) {
      const std::uint64_t p0 = 0xD2511F53ull * c[0][b];
      const std::uint64_t p1 = 0xCD9E8D57ull * c[2][b];
      c[0][b] = static_cast<std::uint32_t>(p1 >> 32) ^ c[1][b] ^ k0;
      c[1][b] = static_cast<std::uint32_t>(p1);
      c[2][b] = static_cast<std::uint32_t>(p0 >> 32) ^ c[3][b] ^ k1;
      c[3][b] = static_cast<std::uint32_t>(p0);
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

// out = word >= threshold ? x * scale : 0 for the elements [first, first + count). REQUIRES: first is a multiple of
// kGroup.
template <class T>
void mask(const T* x, T* out, std::int64_t first, std::int64_t count, std::uint64_t key, std::uint64_t stream,
          std::uint64_t threshold, T scale) {
  std::uint32_t blocks[4][kBlocks];
  const std::uint32_t* words = &blocks[0][0];
  for (std::int64_t begin = 0; begin < count; begin += kGroup) {
    random_words(key, stream, static_cast<std::uint64_t>(first + begin) / kGroup, blocks);
    const std::int64_t length = count - begin < static_cast<std::int64_t>(kGroup) ? count - begin : kGroup;
    for (std::int64_t i = 0; i < length; ++i) {
      out[begin + i] = words[i] >= threshold ? x[begin + i] * scale : T{0};
    }
  }
}

void mask_f32(const float* x, float* out, std::int64_t first, std::int64_t count, std::uint64_t key,
              std::uint64_t stream, std::uint64_t threshold, float scale) {
  mask(x, out, first, count, key, stream, threshold, scale);
}
void mask_f64(const double* x, double* out, std::int64_t first, std::int64_t count, std::uint64_t key,
              std::uint64_t stream, std::uint64_t threshold, double scale) {
  mask(x, out, first, count, key, stream, threshold, scale);
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {

HWY_EXPORT(mask_f32);
HWY_EXPORT(mask_f64);

namespace ops {
namespace {

constexpr std::int64_t kTile = 8 << 10;  // elements, a multiple of a group

struct Mask {
  std::uint64_t key = 0;
  std::uint64_t stream = 0;
  std::uint64_t threshold = 0;  // of the 32-bit words; 2^32 drops all
  double scale = 1;

  void apply(const Array& x, const Array& out) const {
    dispatch_real(x.dtype(), "dropout", [&](auto tag) {
      using T = decltype(tag);
      const T* from = x.data<T>();
      T* to = out.data<T>();
      parallel_for(x.count(), kTile, [&, this](std::int64_t begin, std::int64_t end) {
        if constexpr (std::is_same_v<T, float>) {
          HWY_DYNAMIC_DISPATCH(mask_f32)
          (from + begin, to + begin, begin, end - begin, key, stream, threshold, static_cast<float>(scale));
        } else {
          HWY_DYNAMIC_DISPATCH(mask_f64)(from + begin, to + begin, begin, end - begin, key, stream, threshold, scale);
        }
      });
    });
  }
};

Mask mask_of(double p, std::uint64_t instance) {
  const StepContext& context = step_context();
  char purpose[15] = "dropout";  // and the bytes of the instance
  std::memcpy(purpose + 7, &instance, sizeof(instance));
  const RandomStream stream(context.seed, {purpose, sizeof(purpose)}, static_cast<std::uint64_t>(context.step),
                            static_cast<std::uint64_t>(context.leaf));
  return {stream.key(), stream.stream(), static_cast<std::uint64_t>(std::llround(p * 0x1.0p32)),
          p < 1 ? 1 / (1 - p) : 0};
}

}  // namespace

Tensor dropout(const Tensor& x, double p, std::uint64_t instance) {
  require(p >= 0 && p <= 1, "dropout: probability {} given, one in [0, 1] expected", p);
  const Mask mask = mask_of(p, instance);
  const Array dense = x.array().contiguous();
  Array out = Array::empty(dense.shape(), dense.dtype());
  mask.apply(dense, out);
  return record("dropout", std::move(out), {&x}, [mask](const Array& gradient, Gradients& gradients) {
    Array out = gradient.is_unique() ? gradient : Array::empty(gradient.shape(), gradient.dtype());
    mask.apply(gradient, out);
    gradients.add(0, std::move(out));
  });
}

}  // namespace ops
}  // namespace trireme
#endif
