// Copies of matrix blocks in the order in which products read them. Included once for each instruction set.
#if defined(TRIREME_CORE_OPS_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TRIREME_CORE_OPS_PACK_INL_H_
#undef TRIREME_CORE_OPS_PACK_INL_H_
#else
#define TRIREME_CORE_OPS_PACK_INL_H_
#endif

#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR
// Four rows of four lanes become four columns, in each 128-bit block of vectors of 32-bit lanes.
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
HWY_INLINE hn::Vec<D> load_quads(D d, const hn::TFromD<D>* p, std::int64_t stride) {
  if constexpr (hn::MaxLanes(d) == 4) {
    return hn::LoadU(d, p);
  } else {
    const hn::Half<D> half;
    const auto places = static_cast<std::int64_t>(hn::MaxLanes(half)) / 4;
    return hn::Combine(d, load_quads(half, p + places * stride, stride), load_quads(half, p, stride));
  }
}

#endif

// out[k * stride + j] = b[j * ldb + k] for k in [0, depth), j in [0, columns); columns up to `width` become zero.
template <class D, class T = hn::TFromD<D>>
void pack_transposed([[maybe_unused]] D d, std::int64_t depth, std::int64_t columns, std::int64_t width, const T* b,
                     std::int64_t ldb, T* out, std::int64_t stride) {
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
          hn::StoreU(quads[i], d, out + (k + i) * stride + done);
        }
      }
      for (; k < depth; ++k) {
        for (std::int64_t j = done; j < done + lanes; ++j) {
          out[k * stride + j] = b[j * ldb + k];
        }
      }
    }
  }
#endif
  for (std::int64_t k = 0; k < depth && done < width; ++k) {
    for (std::int64_t j = done; j < width; ++j) {
      out[k * stride + j] = j < columns ? b[j * ldb + k] : T{0};
    }
  }
}

// out[k * stride + j] = b[k * ldb + j], likewise. REQUIRES: width is a multiple of Lanes(d).
template <class D, class T = hn::TFromD<D>>
void pack_rows(D d, std::int64_t depth, std::int64_t columns, std::int64_t width, const T* b, std::int64_t ldb, T* out,
               std::int64_t stride) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t k = 0; k < depth; ++k) {
    std::int64_t j = 0;
    for (; j + lanes <= columns; j += lanes) {
      hn::StoreU(hn::LoadU(d, b + k * ldb + j), d, out + k * stride + j);
    }
    for (; j < width; j += lanes) {
      const std::int64_t left = columns > j ? columns - j : 0;
      hn::StoreU(load_tail(d, b + k * ldb + j, static_cast<std::size_t>(left)), d, out + k * stride + j);
    }
  }
}

}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
