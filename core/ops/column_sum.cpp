#include "trireme/core/ops/column_sum.h"

#include <algorithm>

#include "trireme/core/base/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/column_sum.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

constexpr std::int64_t kGroup = 128;  // rows summed before their sum is added to the total
constexpr int kVectors = 4;           // columns that are summed together, in vectors
constexpr std::int64_t kColumnTile = 256;

// `vectors` whole vectors of columns, or one with `last` lanes.
template <int kCount, bool kPartial, class T>
void sum_block(const T* x, std::int64_t rows, std::int64_t columns, std::size_t last, T* target, bool accumulate) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const auto load = [&](const T* p) HWY_ATTR { return kPartial ? load_tail(d, p, last) : hn::LoadU(d, p); };
  V total[kCount];
#pragma GCC unroll 4
  for (int j = 0; j < kCount; ++j) {
    total[j] = accumulate ? load(target + j * lanes) : hn::Zero(d);
  }
  for (std::int64_t first = 0; first < rows; first += kGroup) {
    V sum[kCount];
#pragma GCC unroll 4
    for (int j = 0; j < kCount; ++j) {
      sum[j] = hn::Zero(d);
    }
    for (std::int64_t i = first; i < std::min(rows, first + kGroup); ++i) {
#pragma GCC unroll 4
      for (int j = 0; j < kCount; ++j) {
        sum[j] = hn::Add(sum[j], load(x + i * columns + j * lanes));
      }
    }
#pragma GCC unroll 4
    for (int j = 0; j < kCount; ++j) {
      total[j] = hn::Add(total[j], sum[j]);
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < kCount; ++j) {
    if (kPartial) {
      store_tail(total[j], d, target + j * lanes, last);
    } else {
      hn::StoreU(total[j], d, target + j * lanes);
    }
  }
}

template <class T>
void sum_columns(const T* x, std::int64_t rows, std::int64_t columns, std::int64_t begin, std::int64_t end, T* target,
                 bool accumulate) {
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(hn::ScalableTag<T>()));
  std::int64_t j = begin;
  for (; j + kVectors * lanes <= end; j += kVectors * lanes) {
    sum_block<kVectors, false>(x + j, rows, columns, 0, target + j, accumulate);
  }
  for (; j + lanes <= end; j += lanes) {
    sum_block<1, false>(x + j, rows, columns, 0, target + j, accumulate);
  }
  if (j < end) {
    sum_block<1, true>(x + j, rows, columns, static_cast<std::size_t>(end - j), target + j, accumulate);
  }
}

void column_sum(const Array& x, const Array& target, bool accumulate) {
  dispatch_real(x.dtype(), "column_sum", [&](auto tag) {
    using T = decltype(tag);
    const std::int64_t columns = target.count();
    const std::int64_t rows = columns == 0 ? 0 : x.count() / columns;
    parallel_for(columns, kColumnTile,
                 [=, x = x.data<T>(), target = target.data<T>()](std::int64_t begin, std::int64_t end) {
                   sum_columns(x, rows, columns, begin, end, target, accumulate);
                 });
  });
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
HWY_EXPORT(column_sum);

namespace ops {

void column_sum(const Array& x, const Array& target, bool accumulate) {
  HWY_DYNAMIC_DISPATCH(trireme::column_sum)(x, target, accumulate);
}

}  // namespace ops
}  // namespace trireme
#endif
