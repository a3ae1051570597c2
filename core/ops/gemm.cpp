#include "trireme/core/ops/gemm.h"

#include <algorithm>
#include <cstring>

#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/workspace.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/gemm.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/ops/gemm_kernel-inl.h"
#include "trireme/core/ops/pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

using ops::GemmArgs;

constexpr std::int64_t kDepth = 384;             // of a block in K: the panel of A (8 x 384 f32, 12 KiB) stays in L1
constexpr std::int64_t kBlockBytes = 600 << 10;  // the packed block of B: stays in L2
constexpr std::int64_t kRowTile = 64;            // rows of a tile of parallel_for
constexpr std::int64_t kRowBlock = 2048;         // rows of A packed at once; a multiple of kRowTile
constexpr std::int64_t kSkew = 16;   // between packed panels of A, whose distance must not be a multiple of a page
constexpr std::int64_t kAhead = 12;  // rows that packing fetches in advance
constexpr std::int64_t kPackColumns = 192;        // with so many columns, packing a transposed A pays
constexpr std::int64_t kDirectBytes = 800 << 10;  // a B that fits the second-level cache is read where it lies
constexpr std::int64_t kDirectRows = 32;          // with so few rows, packing B would cost more than it brings

// One block of the product: C[rows, columns] += A[rows, depths] B[depths, columns].
template <class T>
class Step {
 public:
  Step(const GemmArgs<T>& args, std::int64_t k, std::int64_t depth) : args_(args), k_(k), depth_(depth) {
    constexpr std::int64_t kElement = sizeof(T);
    // Rows whose distance is a multiple of a page share one set of the L1 cache and would evict each other.
    pack_a_ = args.m >= kRows && (args.transpose_a ? args.n >= kPackColumns : args.lda * kElement % 4096 == 0);
    const bool fits = args.k * args.n * kElement <= kDirectBytes && args.ldb * kElement % 4096 != 0;
    pack_b_ = args.transpose_b || (args.m > kDirectRows && !fits);
  }

  void set_columns(std::int64_t first, std::int64_t count) {
    column_ = first;
    columns_ = count;
  }

  static std::int64_t lanes() { return static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>())); }
  static std::int64_t panel_columns() { return kVectors * lanes(); }
  std::int64_t panels() const { return (columns_ + panel_columns() - 1) / panel_columns(); }
  bool packs_a() const { return pack_a_; }
  bool packs_b() const { return pack_b_; }
  std::size_t packed_b_count() const { return static_cast<std::size_t>(panels() * panel_columns() * depth_); }
  std::size_t packed_a_count(std::int64_t rows) const {
    return static_cast<std::size_t>((rows + kRows - 1) / kRows * panel_stride());
  }

  void pack_b(std::int64_t begin_panel, std::int64_t end_panel, T* packed) const {
    const hn::ScalableTag<T> d;
    for (std::int64_t panel = begin_panel; panel < end_panel; ++panel) {
      const std::int64_t first = panel * panel_columns();
      const std::int64_t count = std::min(panel_columns(), columns_ - first);
      T* out = packed + panel * panel_columns() * depth_;
      const std::int64_t column = column_ + first;
      if (args_.transpose_b) {
        pack_transposed(d, depth_, count, panel_columns(), args_.b + column * args_.ldb + k_, args_.ldb, out,
                        panel_columns());
      } else {
        pack_rows(d, depth_, count, panel_columns(), args_.b + k_ * args_.ldb + column, args_.ldb, out,
                  panel_columns());
      }
    }
  }

  // Rows [begin, end); `packed_a` holds their panels.
  void rows(std::int64_t begin, std::int64_t end, const T* packed_a, const T* packed_b) const {
    for (std::int64_t row = begin; row < end;) {
      const std::int64_t left = end - row;
      const int count = left >= kRows ? kRows : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      PanelA<T> a{args_.transpose_a ? args_.a + k_ * args_.lda + row : args_.a + row * args_.lda + k_, args_.lda};
      if (pack_a_) {
        const std::int64_t within = (row - begin) % kRows;
        a = {packed_a + (row - begin) / kRows * panel_stride() + within, kRows};
      }
      row_of_blocks(row, count, left > count, a, packed_b);
      row += count;
    }
  }

  void pack_a(std::int64_t begin, std::int64_t end, T* out) const {
    const hn::CappedTag<T, kRows> d;
    if (!args_.transpose_a) {
      for (std::int64_t row = begin; row < end; row += kRows, out += panel_stride()) {
        const std::int64_t count = std::min<std::int64_t>(kRows, end - row);
        pack_transposed(d, depth_, count, kRows, args_.a + row * args_.lda + k_, args_.lda, out, kRows);
      }
      return;
    }
    const std::int64_t line = 64 / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t whole = (end - begin) / kRows;
    const std::int64_t left = (end - begin) % kRows;
    const T* from = args_.a + k_ * args_.lda + begin;
    for (std::int64_t k = 0; k < depth_; ++k, from += args_.lda) {  // all panels at once: each line of A is read once
      for (std::int64_t i = begin; i < end; i += line) {
        __builtin_prefetch(from + kAhead * args_.lda + (i - begin));
      }
      for (std::int64_t i = 0; i < whole; ++i) {
        pack_rows(d, 1, kRows, kRows, from + i * kRows, 0, out + i * panel_stride() + k * kRows, kRows);
      }
      if (left > 0) {
        pack_rows(d, 1, left, kRows, from + whole * kRows, 0, out + whole * panel_stride() + k * kRows, kRows);
      }
    }
  }

 private:
  std::int64_t panel_stride() const { return depth_ * kRows + kSkew; }

  // Fetches one of `parts` parts of the panel of A after `a`, so that its first use does not wait.
  void prefetch_next(PanelA<T> a, int count, std::int64_t part, std::int64_t parts) const {
    const std::int64_t line = 64 / static_cast<std::int64_t>(sizeof(T));
    const std::int64_t length = (depth_ / parts + line - 1) / line * line;
    const std::int64_t begin = part * length;
    const std::int64_t end = std::min(depth_, begin + length);
    if (pack_a_) {
      for (std::int64_t k = begin * kRows; k < end * kRows; k += line) {
        __builtin_prefetch(a.first + panel_stride() + k);
      }
    } else if (args_.transpose_a) {
      for (std::int64_t k = begin; k < end; ++k) {
        __builtin_prefetch(a.first + count + k * a.stride);
      }
    } else {
      for (int i = count; i < 2 * count; ++i) {
        for (std::int64_t k = begin; k < end; k += line) {
          __builtin_prefetch(a.first + i * a.stride + k);
        }
      }
    }
  }

  void row_of_blocks(std::int64_t row, int count, bool more, PanelA<T> a, const T* packed) const {
    const bool columns = pack_a_ || args_.transpose_a;
    const BlockFunction<T> whole = block_function<T>(count, kVectors, columns, false);
    for (std::int64_t panel = 0; panel < panels(); ++panel) {
      const std::int64_t first = panel * panel_columns();
      const std::int64_t width = std::min(panel_columns(), columns_ - first);
      const int vectors = static_cast<int>((width + lanes() - 1) / lanes());
      const int last = static_cast<int>(width - (vectors - 1) * lanes());
      const bool partial = last != lanes();
      const std::int64_t column = column_ + first;
      const bool first_step = k_ == 0;
      const BlockC<T> c{args_.c + row * args_.ldc + column, args_.ldc,
                        first_step && args_.bias != nullptr ? args_.bias + column : nullptr,
                        !first_step || args_.accumulate, last};
      const BlockFunction<T> multiply =
          vectors == kVectors && !partial ? whole : block_function<T>(count, vectors, columns, partial);
      if (more) {
        prefetch_next(a, count, panel, panels());
      }
      if (pack_b_) {
        multiply(depth_, a, packed + first * depth_, panel_columns(), c);
      } else {
        multiply(depth_, a, args_.b + k_ * args_.ldb + column, args_.ldb, c);
      }
    }
  }

  const GemmArgs<T>& args_;
  std::int64_t k_, depth_;
  std::int64_t column_ = 0;
  std::int64_t columns_ = 0;
  bool pack_a_, pack_b_;
};

// The depth of each step in K: equal parts of at most kDepth, a function of K alone.
std::int64_t depth_of(std::int64_t k) {
  const std::int64_t steps = std::max<std::int64_t>(1, (k + kDepth - 1) / kDepth);
  return std::max<std::int64_t>(1, ((k + steps - 1) / steps + 7) / 8 * 8);
}

template <class T>
struct Scratch {
  ops::Workspace a;
  ops::Workspace b;
};

// Rows [first, first + count) of C, all columns, one step in K.
template <class T>
void multiply_rows(const GemmArgs<T>& args, Step<T> step, std::int64_t block, std::int64_t first, std::int64_t count,
                   Scratch<T>& scratch) {
  T* packed_a = nullptr;
  T* packed_b = nullptr;
  if (step.packs_a()) {
    packed_a = scratch.a.template get<T>(step.packed_a_count(count));
    parallel_for(count, kRowTile, [&](std::int64_t begin, std::int64_t end) {
      step.pack_a(first + begin, first + end, packed_a + step.packed_a_count(begin));
    });
  }
  for (std::int64_t column = 0; column < args.n; column += block) {
    step.set_columns(column, std::min(block, args.n - column));
    if (step.packs_b()) {
      packed_b = scratch.b.template get<T>(step.packed_b_count());
      parallel_for(step.panels(), 4, [&](std::int64_t begin, std::int64_t end) { step.pack_b(begin, end, packed_b); });
    }
    parallel_for(count, kRowTile, [&](std::int64_t begin, std::int64_t end) {
      const T* panels = packed_a == nullptr ? nullptr : packed_a + step.packed_a_count(begin);
      step.rows(first + begin, first + end, panels, packed_b);
    });
  }
}

template <class T>
void multiply(const GemmArgs<T>& args) {
  thread_local Scratch<T> scratch;
  const std::int64_t depth = depth_of(args.k);
  const std::int64_t panel = Step<T>::panel_columns();
  const std::int64_t fit = kBlockBytes / static_cast<std::int64_t>(sizeof(T)) / depth;
  const std::int64_t block = std::max<std::int64_t>(1, std::min(fit, 4 * kDepth) / panel) * panel;
  for (std::int64_t row = 0; row < args.m; row += kRowBlock) {
    for (std::int64_t k = 0; k < std::max<std::int64_t>(args.k, 1); k += depth) {
      const Step<T> step(args, k, std::min(depth, args.k - k));
      multiply_rows(args, step, block, row, std::min(kRowBlock, args.m - row), scratch);
    }
  }
}

void gemm_f32(const GemmArgs<float>& args) { multiply(args); }
void gemm_f64(const GemmArgs<double>& args) { multiply(args); }

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
