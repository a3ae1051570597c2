// The innermost part of a matrix product: a block of C in registers, and the packing that feeds it. Included once for
// each instruction set by gemm.cpp; see gemm.h for the method.
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

// Where the panel of A comes from and how its elements lie.
template <class T>
struct PanelA {
  const T* first;
  std::int64_t row_stride;  // unpacked: element (i, k) at first[i * row_stride + k]; packed: at first[k * kRows + i]
};

// What happens to the finished block.
template <class T>
struct BlockC {
  T* first;
  std::int64_t row_stride;
  const T* bias;   // of the block's first column, or null
  bool add;        // to what C holds
  int last_lanes;  // columns in the last vector
};

// C block = sum over k of A(i, k) * B(k, j) in the order of k; vectors of B at b + k * b_stride.
template <int kBlockRows, int kBlockVectors, bool kPacked, bool kPartial, class T>
HWY_NOINLINE void multiply_block(std::int64_t depth, PanelA<T> a, const T* b, std::int64_t b_stride, BlockC<T> c) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto last = static_cast<std::size_t>(c.last_lanes);
  V sums[kBlockRows][kBlockVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kBlockRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kBlockVectors; ++j) {
      sums[i][j] = hn::Zero(d);
    }
  }
  for (std::int64_t k = 0; k < depth; ++k, b += b_stride) {
    V row[kBlockVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kBlockVectors; ++j) {
      const bool partial = kPartial && j == kBlockVectors - 1;
      row[j] = partial ? load_tail(d, b + j * lanes, last) : hn::LoadU(d, b + j * lanes);
    }
#pragma GCC unroll 8
    for (int i = 0; i < kBlockRows; ++i) {
      const V left = hn::Set(d, kPacked ? a.first[k * kRows + i] : a.first[i * a.row_stride + k]);
#pragma GCC unroll 4
      for (int j = 0; j < kBlockVectors; ++j) {
        sums[i][j] = hn::MulAdd(left, row[j], sums[i][j]);
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
      T* to = c.first + i * c.row_stride + j * lanes;
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

template <class T>
using BlockFunction = void (*)(std::int64_t, PanelA<T>, const T*, std::int64_t, BlockC<T>);

template <int kBlockRows, class T>
HWY_INLINE BlockFunction<T> block_of_rows(int vectors, bool packed, bool partial) {
#define TRIREME_BLOCK(V)                                                                                            \
  (packed                                                                                                           \
       ? (partial ? &multiply_block<kBlockRows, V, true, true, T> : &multiply_block<kBlockRows, V, true, false, T>) \
       : (partial ? &multiply_block<kBlockRows, V, false, true, T> : &multiply_block<kBlockRows, V, false, false, T>))
  return vectors == 3 ? TRIREME_BLOCK(3) : vectors == 2 ? TRIREME_BLOCK(2) : TRIREME_BLOCK(1);
#undef TRIREME_BLOCK
}

// The kernel for 8, 4, 2 or 1 rows.
template <class T>
HWY_INLINE BlockFunction<T> block_function(int rows, int vectors, bool packed, bool partial) {
  if constexpr (kRows == 8) {
    if (rows == 8) {
      return block_of_rows<8, T>(vectors, packed, partial);
    }
  }
  return rows == 4   ? block_of_rows<4, T>(vectors, packed, partial)
         : rows == 2 ? block_of_rows<2, T>(vectors, packed, partial)
                     : block_of_rows<1, T>(vectors, packed, partial);
}

#if HWY_TARGET != HWY_SCALAR
// Four rows of four lanes become four columns, in each 128-bit block of f32 vectors.
template <class D, class V>
HWY_INLINE void transpose_blocks(D d, V (&v)[4]) {
  const auto low01 = hn::InterleaveLower(d, v[0], v[1]);
  const auto high01 = hn::InterleaveUpper(d, v[0], v[1]);
  const auto low23 = hn::InterleaveLower(d, v[2], v[3]);
  const auto high23 = hn::InterleaveUpper(d, v[2], v[3]);
  const hn::RepartitionToWide<D> wide;
  const auto pair = [d, wide](auto a, auto b, bool upper) HWY_ATTR {
    const auto x = hn::BitCast(wide, a);
    const auto y = hn::BitCast(wide, b);
    return hn::BitCast(d, upper ? hn::InterleaveUpper(wide, x, y) : hn::InterleaveLower(wide, x, y));
  };
  v[0] = pair(low01, low23, false);
  v[1] = pair(low01, low23, true);
  v[2] = pair(high01, high23, false);
  v[3] = pair(high01, high23, true);
}

// Four elements from each of Lanes(d) / 4 places, `stride` apart, one place a 128-bit block.
template <class D>
HWY_INLINE hn::Vec<D> load_quads(D d, const float* p, std::int64_t stride) {
  if constexpr (hn::MaxLanes(d) == 4) {
    return hn::LoadU(d, p);
  } else {
    const hn::Half<D> half;
    const auto places = static_cast<std::int64_t>(hn::MaxLanes(half)) / 4;
    return hn::Combine(d, load_quads(half, p + places * stride, stride), load_quads(half, p, stride));
  }
}

#endif

// out[k * width + j] = b[j * ldb + k] for k in [0, depth), j in [0, columns); columns up to `width` become zero.
// REQUIRES: width is a multiple of Lanes(d).
template <class D, class T = hn::TFromD<D>>
void pack_transposed([[maybe_unused]] D d, std::int64_t depth, std::int64_t columns, std::int64_t width, const T* b,
                     std::int64_t ldb, T* out) {
  std::int64_t done = 0;  // columns
#if HWY_TARGET != HWY_SCALAR
  if constexpr (sizeof(T) == 4) {
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    for (; done + lanes <= columns; done += lanes) {
      std::int64_t k = 0;
      for (; k + 4 <= depth; k += 4) {
        hn::Vec<D> quads[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          quads[i] = load_quads(d, b + (done + i) * ldb + k, 4 * ldb);
        }
        transpose_blocks(d, quads);
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
          hn::StoreU(quads[i], d, out + (k + i) * width + done);
        }
      }
      for (; k < depth; ++k) {
        for (std::int64_t j = done; j < done + lanes; ++j) {
          out[k * width + j] = b[j * ldb + k];
        }
      }
    }
  }
#endif
  for (std::int64_t k = 0; k < depth && done < width; ++k) {
    for (std::int64_t j = done; j < width; ++j) {
      out[k * width + j] = j < columns ? b[j * ldb + k] : T{0};
    }
  }
}

// out[k * width + j] = b[k * ldb + j], likewise.
template <class D, class T = hn::TFromD<D>>
void pack_rows(D d, std::int64_t depth, std::int64_t columns, std::int64_t width, const T* b, std::int64_t ldb,
               T* out) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t k = 0; k < depth; ++k) {
    std::int64_t j = 0;
    for (; j + lanes <= columns; j += lanes) {
      hn::StoreU(hn::LoadU(d, b + k * ldb + j), d, out + k * width + j);
    }
    for (; j < width; j += lanes) {
      const std::int64_t left = columns > j ? columns - j : 0;
      hn::StoreU(load_tail(d, b + k * ldb + j, static_cast<std::size_t>(left)), d, out + k * width + j);
    }
  }
}

}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
