// The innermost part of a matrix product: a block of C in registers. Included once for each instruction set; see gemm.h
// for the method.
#if defined(TRIREME_CORE_OPS_GEMM_KERNEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIREME_CORE_OPS_GEMM_KERNEL_INL_H_
#undef TRIREME_CORE_OPS_GEMM_KERNEL_INL_H_
#else
#define TRIREME_CORE_OPS_GEMM_KERNEL_INL_H_
#endif

#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {

// The block of C in registers: kRows x kVectors vectors. With three vectors a row, each load of an A element feeds
// three multiply-adds, and the accumulators, three B vectors and one A value fit the 32 (AVX-512) or 16 registers there
// are.
inline constexpr int kVectors = 3;
inline constexpr int kRows = HWY_TARGET <= HWY_AVX3 ? 8 : 4;
// The most words in K that one step takes: the panel of A (8 x 384 words of 4 bytes, 12 KiB) stays in L1.
inline constexpr std::int64_t kDepth = 384;

// What a kernel reads: words. Of f32 and f64 products a word is an element, and two of them are multiplied onto a sum
// of the same type. (Of bf16 products it is a pair of elements: gemm_pairs-inl.h.)
template <class T>
struct Fused {
  using Word = T;
  using Sum = T;
  static constexpr bool kColumnsOnly = false;  // true: panels of A are always packed

  template <class D>
  static HWY_INLINE hn::Vec<D> multiply_add(D /*d*/, hn::Vec<D> left, hn::Vec<D> right, hn::Vec<D> sum) {
    return hn::MulAdd(left, right, sum);
  }
};

// Where the panel of A comes from and how its words lie.
template <class Word>
struct PanelA {
  const Word* first;
  std::int64_t stride;  // word (i, k) at first[i * stride + k], or at first[k * stride + i] where columns are dense
};

// What happens to the finished block.
template <class Sum>
struct BlockC {
  Sum* first;
  std::int64_t row_stride;
  const Sum* bias;  // of the block's first column, or null
  bool add;         // to what C holds
  int last_lanes;   // columns in the last vector
};

// C block = sum over k of A(i, k) * B(k, j) in the order of k; vectors of B at b + k * b_stride.
template <int kBlockRows, int kBlockVectors, bool kColumns, bool kPartial, class Arithmetic,
          class Word = typename Arithmetic::Word, class Sum = typename Arithmetic::Sum>
HWY_NOINLINE void multiply_block(std::int64_t depth, PanelA<Word> a, const Word* b, std::int64_t b_stride,
                                 BlockC<Sum> c) {
  static_assert(sizeof(Word) == sizeof(Sum));
  const hn::ScalableTag<Sum> d;
  const hn::ScalableTag<Word> dw;
  using V = hn::Vec<decltype(d)>;
  using W = hn::Vec<decltype(dw)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto last = static_cast<std::size_t>(c.last_lanes);
  V sums[kBlockRows][kBlockVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kBlockRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kBlockVectors; ++j) {
      __builtin_prefetch(c.first + i * c.row_stride + j * lanes, 1);  // arrives while the sums are made
      sums[i][j] = hn::Zero(d);
    }
  }
  for (std::int64_t k = 0; k < depth; ++k, b += b_stride) {
    W row[kBlockVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kBlockVectors; ++j) {
      const bool partial = kPartial && j == kBlockVectors - 1;
      row[j] = partial ? load_tail(dw, b + j * lanes, last) : hn::LoadU(dw, b + j * lanes);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kBlockRows; ++i) {
      const W left = hn::Set(dw, kColumns ? a.first[k * a.stride + i] : a.first[i * a.stride + k]);
#pragma GCC unroll 4
      for (int j = 0; j < kBlockVectors; ++j) {
        sums[i][j] = Arithmetic::multiply_add(d, left, row[j], sums[i][j]);
      }
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < kBlockVectors; ++j) {
    const bool partial = kPartial && j == kBlockVectors - 1;
    V bias = hn::Zero(d);
    if (c.bias != nullptr) {
      bias = partial ? load_tail(d, c.bias + j * lanes, last) : hn::LoadU(d, c.bias + j * lanes);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kBlockRows; ++i) {
      Sum* to = c.first + i * c.row_stride + j * lanes;
      V sum = sums[i][j];
      if (c.bias != nullptr) {
        sum = hn::Add(sum, bias);
      }
      if (c.add) {
        sum = hn::Add(sum, partial ? load_tail(d, to, last) : hn::LoadU(d, to));
      }
      if (partial) {
        store_tail(sum, d, to, last);
      } else {
        hn::StoreU(sum, d, to);
      }
    }
  }
}

template <class Arithmetic>
using BlockFunction = void (*)(std::int64_t, PanelA<typename Arithmetic::Word>, const typename Arithmetic::Word*,
                               std::int64_t, BlockC<typename Arithmetic::Sum>);

template <int kBlockRows, bool kColumns, bool kPartial, class Arithmetic>
HWY_INLINE BlockFunction<Arithmetic> block_of_vectors(int vectors) {
  return vectors == 3   ? &multiply_block<kBlockRows, 3, kColumns, kPartial, Arithmetic>
         : vectors == 2 ? &multiply_block<kBlockRows, 2, kColumns, kPartial, Arithmetic>
                        : &multiply_block<kBlockRows, 1, kColumns, kPartial, Arithmetic>;
}

template <int kBlockRows, class Arithmetic>
HWY_INLINE BlockFunction<Arithmetic> block_of_rows(int vectors, bool columns, bool partial) {
  if constexpr (!Arithmetic::kColumnsOnly) {
    if (!columns) {
      return partial ? block_of_vectors<kBlockRows, false, true, Arithmetic>(vectors)
                     : block_of_vectors<kBlockRows, false, false, Arithmetic>(vectors);
    }
  }
  return partial ? block_of_vectors<kBlockRows, true, true, Arithmetic>(vectors)
                 : block_of_vectors<kBlockRows, true, false, Arithmetic>(vectors);
}

// The kernel for 8, 4, 2 or 1 rows.
template <class Arithmetic>
HWY_INLINE BlockFunction<Arithmetic> block_function(int rows, int vectors, bool columns, bool partial) {
  if constexpr (kRows == 8) {
    if (rows == 8) {
      return block_of_rows<8, Arithmetic>(vectors, columns, partial);
    }
  }
  return rows == 4   ? block_of_rows<4, Arithmetic>(vectors, columns, partial)
         : rows == 2 ? block_of_rows<2, Arithmetic>(vectors, columns, partial)
                     : block_of_rows<1, Arithmetic>(vectors, columns, partial);
}

}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
