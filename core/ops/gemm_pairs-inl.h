// bf16 products: a word is a pair of elements that are neighbours in K, the first in the lower half. Both operands are
// packed into such words, f32 elements being rounded on the way. Included once for each instruction set; see gemm.h.
//
// The order of the native instruction is the upper elements first, one rounding for each product
// (Intel Architecture Instruction Set Extensions, VDPBF16PS; AMD's does the same). PlainPairs does what it does.
#if defined(TRIREME_CORE_OPS_GEMM_PAIRS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIREME_CORE_OPS_GEMM_PAIRS_INL_H_
#undef TRIREME_CORE_OPS_GEMM_PAIRS_INL_H_
#else
#define TRIREME_CORE_OPS_GEMM_PAIRS_INL_H_
#endif

#include <algorithm>
#include <cstring>

#include "trireme/core/base/bf16-inl.h"
#include "trireme/core/ops/gemm.h"
#include "trireme/core/ops/gemm_kernel-inl.h"
#include "trireme/core/ops/pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {

// By f32 instructions. A product of two bf16 numbers is exact in f32, so it does not matter whether the
// multiply-add is fused.
struct PlainPairs {
  using Word = std::uint32_t;
  using Sum = float;
  static constexpr bool kColumnsOnly = true;

  template <class D, class W = hn::Vec<hn::RebindToUnsigned<D>>>
  static HWY_INLINE hn::Vec<D> multiply_add(D d, W left, W right, hn::Vec<D> sum) {
    const auto upper = hn::Set(hn::RebindToUnsigned<D>(), 0xffff0000u);
    sum = hn::MulAdd(hn::BitCast(d, hn::And(left, upper)), hn::BitCast(d, hn::And(right, upper)), sum);
    return hn::MulAdd(widen_bf16(d, left), widen_bf16(d, right), sum);
  }
};

#if HWY_TARGET <= HWY_AVX3
// By VDPBF16PS. Written as an instruction, not as the compiler's intrinsic, because the functions around it are
// compiled for AVX-512 without that extension.
struct NativePairs {
  using Word = std::uint32_t;
  using Sum = float;
  static constexpr bool kColumnsOnly = true;

  template <class D, class W = hn::Vec<hn::RebindToUnsigned<D>>>
  static HWY_INLINE hn::Vec<D> multiply_add(D /*d*/, W left, W right, hn::Vec<D> sum) {
    asm("vdpbf16ps %2, %1, %0" : "+v"(sum.raw) : "v"(left.raw), "v"(right.raw));
    return sum;
  }
};
#endif

// `count` elements from p on in the lower halves of the lanes, rounded where they are f32; the other lanes 0.
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> load_rounded(D d, const float* p, std::size_t count) {
  return round_to_bf16(d, count == hn::Lanes(d) ? hn::LoadU(d, p) : load_tail(d, p, count));
}
template <class D>
HWY_INLINE hn::Vec<hn::RebindToUnsigned<D>> load_rounded(D d, const BFloat16* p, std::size_t count) {
  return count == hn::Lanes(d) ? load_bf16(d, p) : load_bf16_tail(d, p, count);
}

// out[j] = the pair of first[j] and second[j] for j in [0, count), 0 up to `width`, a multiple of Lanes(d). `second` is
// null behind the last row of an odd K.
template <class D, class S>
HWY_INLINE void pair_rows(D d, std::int64_t count, std::int64_t width, const S* first, const S* second,
                          std::uint32_t* out) {
  const hn::RebindToUnsigned<D> du;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t j = 0; j < width; j += lanes) {
    const auto here = static_cast<std::size_t>(std::clamp<std::int64_t>(count - j, 0, lanes));
    auto words = load_rounded(d, first + j, here);
    if (second != nullptr) {
      words = hn::Or(words, hn::ShiftLeft<16>(load_rounded(d, second + j, here)));
    }
    hn::StoreU(words, du, out + j);
  }
}

// out[i] = the pair of row[2 i] and row[2 i + 1]; behind an odd number of elements, of the last one and 0. The next
// row, `ahead` elements away, is fetched meanwhile: a row is shorter than what the processor's own prefetching needs.
inline void pair_elements(const BFloat16* row, std::int64_t elements, std::int64_t ahead, std::uint32_t* out) {
  for (std::int64_t i = 0; i < elements; i += 32) {
    __builtin_prefetch(row + ahead + i);
  }
  out[(elements - 1) / 2] = 0;
  std::memcpy(out, row, static_cast<std::size_t>(elements) * sizeof(BFloat16));
}
HWY_INLINE void pair_elements(const float* row, std::int64_t elements, [[maybe_unused]] std::int64_t ahead,
                              std::uint32_t* out) {
  std::int64_t i = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::ScalableTag<float> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (; i + 2 * lanes <= elements; i += 2 * lanes) {
    __builtin_prefetch(row + ahead + i);
    __builtin_prefetch(row + ahead + i + lanes);
    const auto low = hn::LoadU(d, row + i);
    const auto high = hn::LoadU(d, row + i + lanes);
    const auto first = round_to_bf16(d, hn::ConcatEven(d, high, low));
    const auto second = round_to_bf16(d, hn::ConcatOdd(d, high, low));
    hn::StoreU(hn::Or(first, hn::ShiftLeft<16>(second)), du, out + i / 2);
  }
#endif
  for (; i < elements; i += 2) {
    const std::uint32_t second = i + 1 < elements ? BFloat16(row[i + 1]).bits : 0u;
    out[i / 2] = BFloat16(row[i]).bits | second << 16;
  }
}

class PairPanels {
 public:
  using Args = ops::GemmArgs<BFloat16>;
  static constexpr bool kInPlace = false;

  explicit PairPanels(const Args& args) : args_(args) {}

  static std::int64_t words(std::int64_t elements) { return (elements + 1) / 2; }
  static constexpr bool packs_a() { return true; }
  static constexpr bool packs_b() { return true; }

  // As PlainPanels'.
  void pack_b(std::int64_t k, std::int64_t depth, std::int64_t column, std::int64_t count, std::int64_t width,
              std::uint32_t* out) const {
    args_.b.bf16 != nullptr ? pack_b(args_.b.bf16, k, depth, column, count, width, out)
                            : pack_b(args_.b.f32, k, depth, column, count, width, out);
  }
  void pack_a(std::int64_t k, std::int64_t depth, std::int64_t begin, std::int64_t end, std::int64_t stride,
              std::uint32_t* out) const {
    args_.a.bf16 != nullptr ? pack_a(args_.a.bf16, k, depth, begin, end, stride, out)
                            : pack_a(args_.a.f32, k, depth, begin, end, stride, out);
  }

 private:
  static constexpr std::int64_t kAhead = 6;  // pairs of rows that packing fetches in advance

  template <class S>
  void pack_b(const S* b, std::int64_t k, std::int64_t depth, std::int64_t column, std::int64_t count,
              std::int64_t width, std::uint32_t* out) const {
    const hn::ScalableTag<float> d;
    if (!args_.transpose_b) {
      for (std::int64_t i = k; i < k + depth; ++i) {
        const S* first = b + 2 * i * args_.ldb + column;
        pair_rows(d, count, width, first, 2 * i + 1 < args_.k ? first + args_.ldb : nullptr, out + (i - k) * width);
      }
      return;
    }
    constexpr auto kLanes = static_cast<std::int64_t>(hn::MaxLanes(d));
    for (std::int64_t j = 0; j < width; j += kLanes) {
      pack_across<kLanes>(b + (column + j) * args_.ldb, args_.ldb, k, depth,
                          std::clamp<std::int64_t>(count - j, 0, kLanes), out + j, width);
    }
  }

  template <class S>
  void pack_a(const S* a, std::int64_t k, std::int64_t depth, std::int64_t begin, std::int64_t end, std::int64_t stride,
              std::uint32_t* out) const {
    if (!args_.transpose_a) {
      for (std::int64_t row = begin; row < end; row += kRows, out += stride) {
        pack_across<kRows>(a + row * args_.lda, args_.lda, k, depth, std::min<std::int64_t>(kRows, end - row), out,
                           kRows);
      }
      return;
    }
    const hn::CappedTag<float, kRows> d;
    const std::int64_t line = 64 / static_cast<std::int64_t>(sizeof(S));
    for (std::int64_t i = k; i < k + depth; ++i) {  // all panels at once: each line of A is read once
      const S* first = a + 2 * i * args_.lda;
      const S* second = 2 * i + 1 < args_.k ? first + args_.lda : nullptr;
      for (std::int64_t row = begin; row < end; row += line) {
        __builtin_prefetch(first + 2 * kAhead * args_.lda + row);
        __builtin_prefetch(first + (2 * kAhead + 1) * args_.lda + row);
      }
      std::uint32_t* to = out + (i - k) * kRows;
      for (std::int64_t row = begin; row < end; row += kRows, to += stride) {
        pair_rows(d, std::min<std::int64_t>(kRows, end - row), kRows, first + row,
                  second == nullptr ? nullptr : second + row, to);
      }
    }
  }

  // out[i * stride + j] = word k + i of row j, for `count` rows of dense elements; rows up to kCount are 0. The words
  // of the rows are made first, then turned.
  template <std::int64_t kCount, class S>
  void pack_across(const S* rows, std::int64_t row_stride, std::int64_t k, std::int64_t depth, std::int64_t count,
                   std::uint32_t* out, std::int64_t stride) const {
    constexpr std::int64_t kStride = kDepth + 16;  // in lines that do not share a set of the L1 cache
    HWY_ALIGN std::uint32_t words[kCount * kStride];
    const std::int64_t elements = std::min(2 * depth, args_.k - 2 * k);
    for (std::int64_t j = 0; j < count && elements > 0; ++j) {
      pair_elements(rows + j * row_stride + 2 * k, elements, row_stride, words + j * kStride);
    }
    const hn::CappedTag<std::uint32_t, kCount> d;
    pack_transposed(d, depth, count, kCount, static_cast<const std::uint32_t*>(words), kStride, out, stride);
  }

  const Args& args_;
};

}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
