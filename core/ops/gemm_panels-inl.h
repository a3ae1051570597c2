// The operands of f32 and f64 products: read where they lie or packed, whichever is faster. Included once for each
// instruction set; see gemm.h for the method.
#if defined(TRIREME_CORE_OPS_GEMM_PANELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIREME_CORE_OPS_GEMM_PANELS_INL_H_
#undef TRIREME_CORE_OPS_GEMM_PANELS_INL_H_
#else
#define TRIREME_CORE_OPS_GEMM_PANELS_INL_H_
#endif

#include "trireme/core/ops/gemm.h"
#include "trireme/core/ops/gemm_kernel-inl.h"
#include "trireme/core/ops/pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {

template <class T>
class PlainPanels {
 public:
  using Args = ops::GemmArgs<T>;
  static constexpr bool kInPlace = true;  // operands may be read where they lie

  explicit PlainPanels(const Args& args) : args_(args) {
    constexpr std::int64_t kElement = sizeof(T);
    // Rows whose distance is a multiple of a page share one set of the L1 cache and would evict each other.
    packs_a_ = args.m >= kRows && (args.transpose_a ? args.n >= kPackColumns : args.lda * kElement % 4096 == 0);
    const bool fits = args.k * args.n * kElement <= kDirectBytes && args.ldb * kElement % 4096 != 0;
    packs_b_ = args.transpose_b || (args.m > kDirectRows && !fits);
  }

  static std::int64_t words(std::int64_t elements) { return elements; }
  bool packs_a() const { return packs_a_; }
  bool packs_b() const { return packs_b_; }

  // out[k * width + j]: `count` columns from `column` on, words [k, k + depth); zeros up to `width`.
  void pack_b(std::int64_t k, std::int64_t depth, std::int64_t column, std::int64_t count, std::int64_t width,
              T* out) const {
    const hn::ScalableTag<T> d;
    if (args_.transpose_b) {
      pack_transposed(d, depth, count, width, args_.b + column * args_.ldb + k, args_.ldb, out, width);
    } else {
      pack_rows(d, depth, count, width, args_.b + k * args_.ldb + column, args_.ldb, out, width);
    }
  }

  // Panels of kRows rows, `stride` apart: rows [begin, end), words [k, k + depth).
  void pack_a(std::int64_t k, std::int64_t depth, std::int64_t begin, std::int64_t end, std::int64_t stride,
              T* out) const {
    const hn::CappedTag<T, kRows> d;
    if (!args_.transpose_a) {
      for (std::int64_t row = begin; row < end; row += kRows, out += stride) {
        const std::int64_t count = std::min<std::int64_t>(kRows, end - row);
        pack_transposed(d, depth, count, kRows, args_.a + row * args_.lda + k, args_.lda, out, kRows);
      }
      return;
    }
    const std::int64_t line = 64 / static_cast<std::int64_t>(sizeof(T));
    const T* from = args_.a + k * args_.lda + begin;
    for (std::int64_t i = 0; i < depth; ++i, from += args_.lda) {  // all panels at once: each line of A is read once
      for (std::int64_t row = begin; row < end; row += line) {
        __builtin_prefetch(from + kAhead * args_.lda + (row - begin));
      }
      T* to = out + i * kRows;
      for (std::int64_t row = begin; row < end; row += kRows, to += stride) {
        pack_rows(d, 1, std::min<std::int64_t>(kRows, end - row), kRows, from + (row - begin), 0, to, kRows);
      }
    }
  }

  PanelA<T> rows_of_a(std::int64_t row, std::int64_t k) const {
    return {args_.transpose_a ? args_.a + k * args_.lda + row : args_.a + row * args_.lda + k, args_.lda};
  }
  const T* block_of_b(std::int64_t k, std::int64_t column) const { return args_.b + k * args_.ldb + column; }

  // Fetches words [begin, end) of the `count` rows after `a`, which is not packed.
  void prefetch_a(PanelA<T> a, int count, std::int64_t begin, std::int64_t end) const {
    const std::int64_t line = 64 / static_cast<std::int64_t>(sizeof(T));
    if (args_.transpose_a) {
      for (std::int64_t k = begin; k < end; ++k) {
        __builtin_prefetch(a.first + count + k * a.stride);
      }
      return;
    }
    for (int i = count; i < 2 * count; ++i) {
      for (std::int64_t k = begin; k < end; k += line) {
        __builtin_prefetch(a.first + i * a.stride + k);
      }
    }
  }

 private:
  static constexpr std::int64_t kAhead = 12;               // rows that packing fetches in advance
  static constexpr std::int64_t kPackColumns = 192;        // with so many columns, packing a transposed A pays
  static constexpr std::int64_t kDirectBytes = 800 << 10;  // a B that fits the second-level cache is read in place
  static constexpr std::int64_t kDirectRows = 32;          // with so few rows, packing B would cost more than it brings

  const Args& args_;
  bool packs_a_, packs_b_;
};

}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
