#include "trireme/core/ops/reduction_kernels.h"

#include <algorithm>
#include <limits>

#include "trireme/core/base/dtype.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/reduction_kernels.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

using ops::kRun;
using ops::Reduction;

struct Sum {
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D, V total, V v) const {
    return hn::Add(total, v);
  }
};

struct Max {  // once NaN, always NaN
  template <class D, class V = hn::Vec<D>>
  HWY_INLINE V operator()(D, V most, V v) const {
    return hn::IfThenElse(hn::Or(hn::Lt(most, v), hn::IsNaN(v)), v, most);
  }
};

// All lanes by halves, in memory: the same order for sums and maxima, and NaN survives.
template <class D, class F, class T = hn::TFromD<D>>
HWY_INLINE T fold_lanes(D d, hn::Vec<D> v, const F& f) {
  HWY_ALIGN T lanes[hn::MaxLanes(d)];
  hn::Store(v, d, lanes);
  const hn::CappedTag<T, 1> one;
  for (std::size_t half = hn::Lanes(d) / 2; half > 0; half /= 2) {
    for (std::size_t i = 0; i < half; ++i) {
      hn::Store(f(one, hn::Load(one, lanes + i), hn::Load(one, lanes + i + half)), one, lanes + i);
    }
  }
  return lanes[0];
}

// Four accumulators hide the latency of an addition. A partial vector is filled up with `neutral`.
template <class T, class F>
HWY_INLINE T fold_run(const T* x, std::int64_t count, T neutral, const F& f) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  auto s0 = hn::Set(d, neutral);
  auto s1 = s0, s2 = s0, s3 = s0;
  std::int64_t i = 0;
  for (; i + 4 * lanes <= count; i += 4 * lanes) {
    s0 = f(d, s0, hn::LoadU(d, x + i));
    s1 = f(d, s1, hn::LoadU(d, x + i + lanes));
    s2 = f(d, s2, hn::LoadU(d, x + i + 2 * lanes));
    s3 = f(d, s3, hn::LoadU(d, x + i + 3 * lanes));
  }
  for (; i + lanes <= count; i += lanes) {
    s0 = f(d, s0, hn::LoadU(d, x + i));
  }
  if (i < count) {
    const auto left = static_cast<std::size_t>(count - i);
    s1 = f(d, s1, hn::IfThenElse(hn::FirstN(d, left), load_tail(d, x + i, left), hn::Set(d, neutral)));
  }
  return fold_lanes(d, f(d, f(d, s0, s1), f(d, s2, s3)), f);
}

template <class T, class F>
double row(const T* x, std::int64_t count, T neutral, const F& f) {
  const hn::CappedTag<double, 1> one;
  auto total = hn::Set(one, static_cast<double>(fold_run(x, std::min(kRun, count), neutral, f)));
  for (std::int64_t i = kRun; i < count; i += kRun) {
    total = f(one, total, hn::Set(one, static_cast<double>(fold_run(x + i, std::min(kRun, count - i), neutral, f))));
  }
  return hn::GetLane(total);
}

// Columns in strips of four vectors, whose accumulators stay in registers.
template <class T, class F>
void rows(const T* x, std::int64_t stride, std::int64_t count, T* out, std::int64_t columns, const F& f) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  std::int64_t j = 0;
  for (; j + 4 * lanes <= columns; j += 4 * lanes) {
    const T* p = x + j;
    auto s0 = hn::LoadU(d, p), s1 = hn::LoadU(d, p + lanes);
    auto s2 = hn::LoadU(d, p + 2 * lanes), s3 = hn::LoadU(d, p + 3 * lanes);
    for (std::int64_t i = 1; i < count; ++i) {
      p += stride;
      s0 = f(d, s0, hn::LoadU(d, p));
      s1 = f(d, s1, hn::LoadU(d, p + lanes));
      s2 = f(d, s2, hn::LoadU(d, p + 2 * lanes));
      s3 = f(d, s3, hn::LoadU(d, p + 3 * lanes));
    }
    hn::StoreU(s0, d, out + j);
    hn::StoreU(s1, d, out + j + lanes);
    hn::StoreU(s2, d, out + j + 2 * lanes);
    hn::StoreU(s3, d, out + j + 3 * lanes);
  }
  for (; j < columns; j += lanes) {
    const auto left = static_cast<std::size_t>(std::min(lanes, columns - j));
    auto s = load_tail(d, x + j, left);
    for (std::int64_t i = 1; i < count; ++i) {
      s = f(d, s, load_tail(d, x + i * stride + j, left));
    }
    store_tail(s, d, out + j, left);
  }
}

template <class T>
double row_of(Reduction reduction, const T* x, std::int64_t count) {
  return reduction == Reduction::sum ? row(x, count, T{0}, Sum{})
                                     : row(x, count, -std::numeric_limits<T>::infinity(), Max{});
}
template <class T>
void rows_of(Reduction reduction, const T* x, std::int64_t stride, std::int64_t count, T* out, std::int64_t columns) {
  reduction == Reduction::sum ? rows(x, stride, count, out, columns, Sum{})
                              : rows(x, stride, count, out, columns, Max{});
}

double row_any(Reduction reduction, bool f32, const void* x, std::int64_t count) {
  return f32 ? row_of(reduction, static_cast<const float*>(x), count)
             : row_of(reduction, static_cast<const double*>(x), count);
}
void rows_any(Reduction reduction, bool f32, const void* x, std::int64_t stride, std::int64_t count, void* out,
              std::int64_t columns) {
  f32 ? rows_of(reduction, static_cast<const float*>(x), stride, count, static_cast<float*>(out), columns)
      : rows_of(reduction, static_cast<const double*>(x), stride, count, static_cast<double*>(out), columns);
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {

HWY_EXPORT(row_any);
HWY_EXPORT(rows_any);

double ops::reduce_row(Reduction reduction, DType dtype, const void* x, std::int64_t count) {
  return HWY_DYNAMIC_DISPATCH(row_any)(reduction, dtype == DType::f32, x, count);
}
void ops::reduce_rows(Reduction reduction, DType dtype, const void* x, std::int64_t stride, std::int64_t rows,
                      void* out, std::int64_t columns) {
  HWY_DYNAMIC_DISPATCH(rows_any)(reduction, dtype == DType::f32, x, stride, rows, out, columns);
}

}  // namespace trireme
#endif
