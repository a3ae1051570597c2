// How a matrix product is cut into steps in K, blocks of columns and tiles of rows. Included once for each instruction
// set; see gemm.h for the method.
//
// `Panels` knows the operands (gemm_panels-inl.h, gemm_pairs-inl.h), `Arithmetic` what is done with their words
// (gemm_kernel-inl.h, gemm_pairs-inl.h).
#if defined(TRIREME_CORE_OPS_GEMM_STEP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIREME_CORE_OPS_GEMM_STEP_INL_H_
#undef TRIREME_CORE_OPS_GEMM_STEP_INL_H_
#else
#define TRIREME_CORE_OPS_GEMM_STEP_INL_H_
#endif

#include <algorithm>

#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/gemm_kernel-inl.h"
#include "trireme/core/ops/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {

inline constexpr std::int64_t kBlockBytes = 600 << 10;  // the packed block of B: stays in L2
inline constexpr std::int64_t kRowTile = 64;            // rows of a tile of parallel_for
inline constexpr std::int64_t kRowBlock = 2048;         // rows of A packed at once; a multiple of kRowTile
inline constexpr std::int64_t kSkew =
    16;  // between packed panels of A, whose distance must not be a multiple of a page

// One block of the product: C[rows, columns] += A[rows, depths] B[depths, columns]. Depths are in words.
template <class Panels, class Arithmetic>
class Step {
 public:
  using Args = typename Panels::Args;
  using Word = typename Arithmetic::Word;
  using Sum = typename Arithmetic::Sum;

  Step(const Args& args, std::int64_t k, std::int64_t depth) : args_(args), operands_(args), k_(k), depth_(depth) {}

  void set_columns(std::int64_t first, std::int64_t count) {
    column_ = first;
    columns_ = count;
  }

  static std::int64_t lanes() { return static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<Word>())); }
  static std::int64_t panel_columns() { return kVectors * lanes(); }
  std::int64_t panels() const { return (columns_ + panel_columns() - 1) / panel_columns(); }
  bool packs_a() const { return operands_.packs_a(); }
  bool packs_b() const { return operands_.packs_b(); }
  std::size_t packed_b_count() const { return static_cast<std::size_t>(panels() * panel_columns() * depth_); }
  std::size_t packed_a_count(std::int64_t rows) const {
    return static_cast<std::size_t>((rows + kRows - 1) / kRows * panel_stride());
  }

  void pack_a(std::int64_t begin, std::int64_t end, Word* out) const {
    operands_.pack_a(k_, depth_, begin, end, panel_stride(), out);
  }
  void pack_b(std::int64_t begin_panel, std::int64_t end_panel, Word* packed) const {
    for (std::int64_t panel = begin_panel; panel < end_panel; ++panel) {
      const std::int64_t first = panel * panel_columns();
      operands_.pack_b(k_, depth_, column_ + first, std::min(panel_columns(), columns_ - first), panel_columns(),
                       packed + first * depth_);
    }
  }

  // Rows [begin, end); `packed_a` holds their panels.
  void rows(std::int64_t begin, std::int64_t end, const Word* packed_a, const Word* packed_b) const {
    for (std::int64_t row = begin; row < end;) {
      const std::int64_t left = end - row;
      const int count = left >= kRows ? kRows : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      row_of_blocks(row, count, left > count, panel_of_a(row, begin, packed_a), packed_b);
      row += count;
    }
  }

 private:
  std::int64_t panel_stride() const { return depth_ * kRows + kSkew; }

  PanelA<Word> panel_of_a(std::int64_t row, std::int64_t begin, const Word* packed) const {
    if constexpr (Panels::kInPlace) {
      if (!packs_a()) {
        return operands_.rows_of_a(row, k_);
      }
    }
    const std::int64_t within = (row - begin) % kRows;
    return {packed + (row - begin) / kRows * panel_stride() + within, kRows};
  }

  // Fetches one of `parts` parts of the panel of A after `a`, so that its first use does not wait.
  void prefetch_next(PanelA<Word> a, int count, std::int64_t part, std::int64_t parts) const {
    const std::int64_t line = 64 / static_cast<std::int64_t>(sizeof(Word));
    const std::int64_t length = (depth_ / parts + line - 1) / line * line;
    const std::int64_t begin = part * length;
    const std::int64_t end = std::min(depth_, begin + length);
    if constexpr (Panels::kInPlace) {
      if (!packs_a()) {
        return operands_.prefetch_a(a, count, begin, end);
      }
    }
    for (std::int64_t k = begin * kRows; k < end * kRows; k += line) {
      __builtin_prefetch(a.first + panel_stride() + k);
    }
  }

  void row_of_blocks(std::int64_t row, int count, bool more, PanelA<Word> a, const Word* packed) const {
    const bool columns = packs_a() || args_.transpose_a;
    const BlockFunction<Arithmetic> whole = block_function<Arithmetic>(count, kVectors, columns, false);
    for (std::int64_t panel = 0; panel < panels(); ++panel) {
      const std::int64_t first = panel * panel_columns();
      const std::int64_t width = std::min(panel_columns(), columns_ - first);
      const int vectors = static_cast<int>((width + lanes() - 1) / lanes());
      const int last = static_cast<int>(width - (vectors - 1) * lanes());
      const bool partial = last != lanes();
      const std::int64_t column = column_ + first;
      const bool first_step = k_ == 0;
      const BlockC<Sum> c{args_.c + row * args_.ldc + column, args_.ldc,
                          first_step && args_.bias != nullptr ? args_.bias + column : nullptr,
                          !first_step || args_.accumulate, last};
      const BlockFunction<Arithmetic> multiply =
          vectors == kVectors && !partial ? whole : block_function<Arithmetic>(count, vectors, columns, partial);
      if (more) {
        prefetch_next(a, count, panel, panels());
      }
      if constexpr (Panels::kInPlace) {
        if (!packs_b()) {
          multiply(depth_, a, operands_.block_of_b(k_, column), args_.ldb, c);
          continue;
        }
      }
      multiply(depth_, a, packed + first * depth_, panel_columns(), c);
    }
  }

  const Args& args_;
  const Panels operands_;
  std::int64_t k_, depth_;
  std::int64_t column_ = 0;
  std::int64_t columns_ = 0;
};

// The depth of each step in K: equal parts of at most kDepth, a function of K alone.
inline std::int64_t depth_of(std::int64_t words) {
  const std::int64_t steps = std::max<std::int64_t>(1, (words + kDepth - 1) / kDepth);
  return std::max<std::int64_t>(1, ((words + steps - 1) / steps + 7) / 8 * 8);
}

struct PackingMemory {
  ops::Workspace a;
  ops::Workspace b;
};

// Rows [first, first + count) of C, all columns, one step in K.
template <class Step, class Args>
void multiply_rows(const Args& args, Step step, std::int64_t block, std::int64_t first, std::int64_t count,
                   PackingMemory& memory) {
  using Word = typename Step::Word;
  Word* packed_a = nullptr;
  Word* packed_b = nullptr;
  if (step.packs_a()) {
    packed_a = memory.a.template get<Word>(step.packed_a_count(count));
    parallel_for(count, kRowTile, [&](std::int64_t begin, std::int64_t end) {
      step.pack_a(first + begin, first + end, packed_a + step.packed_a_count(begin));
    });
  }
  for (std::int64_t column = 0; column < args.n; column += block) {
    step.set_columns(column, std::min(block, args.n - column));
    if (step.packs_b()) {
      packed_b = memory.b.template get<Word>(step.packed_b_count());
      parallel_for(step.panels(), 4, [&](std::int64_t begin, std::int64_t end) { step.pack_b(begin, end, packed_b); });
    }
    parallel_for(count, kRowTile, [&](std::int64_t begin, std::int64_t end) {
      const Word* panels = packed_a == nullptr ? nullptr : packed_a + step.packed_a_count(begin);
      step.rows(first + begin, first + end, panels, packed_b);
    });
  }
}

template <class Panels, class Arithmetic>
void multiply(typename Panels::Args args) {
  using Word = typename Arithmetic::Word;
  thread_local PackingMemory memory;
  if (args.k == 0) {
    args.a = args.b = args.c;  // never read; offsets from a null pointer would be undefined
  }
  const std::int64_t words = Panels::words(args.k);
  const std::int64_t depth = depth_of(words);
  const std::int64_t panel = Step<Panels, Arithmetic>::panel_columns();
  const std::int64_t fit = kBlockBytes / static_cast<std::int64_t>(sizeof(Word)) / depth;
  const std::int64_t block = std::max<std::int64_t>(1, std::min(fit, 4 * kDepth) / panel) * panel;
  for (std::int64_t row = 0; row < args.m; row += kRowBlock) {
    for (std::int64_t k = 0; k < std::max<std::int64_t>(words, 1); k += depth) {
      const Step<Panels, Arithmetic> step(args, k, std::min(depth, words - k));
      multiply_rows(args, step, block, row, std::min(kRowBlock, args.m - row), memory);
    }
  }
}

}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
