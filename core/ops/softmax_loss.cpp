#include "trireme/core/ops/softmax_loss.h"

#include <cmath>
#include <limits>

#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/embedding.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/softmax_loss.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/ops/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

// Rows of about this many elements make a tile.
constexpr std::int64_t kTileElements = 16 << 10;

std::int64_t row_tile(std::int64_t columns) {
  return std::max<std::int64_t>(1, kTileElements / std::max<std::int64_t>(1, columns));
}

template <class T>
T log_sum_exp(const T* x, std::int64_t columns) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t whole = columns / lanes * lanes;
  const auto left = static_cast<std::size_t>(columns - whole);
  const V lowest = hn::Set(d, -std::numeric_limits<T>::infinity());
  // Missing lanes of the tail count as -infinity.
  const auto tail = [&]()
                        HWY_ATTR { return hn::IfThenElse(hn::FirstN(d, left), load_tail(d, x + whole, left), lowest); };
  V most = lowest;
  for_each_vector(
      d, whole, [&](V v) HWY_ATTR { most = hn::Max(most, v); }, x);
  if (left != 0) {
    most = hn::Max(most, tail());
  }
  const T largest = reduce_max(d, most);
  const V top = hn::Set(d, largest);
  V sum = hn::Zero(d);
  for_each_vector(
      d, whole, [&](V v) HWY_ATTR { sum = hn::Add(sum, exp(d, hn::Sub(v, top))); }, x);
  if (left != 0) {
    sum = hn::Add(sum, exp(d, hn::Sub(tail(), top)));
  }
  return largest + std::log(reduce_sum(d, sum));
}

// out = scale * exp(x - log_sum).
template <class T>
void scaled_softmax(const T* x, std::int64_t columns, T log_sum, T scale, T* out) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const V shift = hn::Set(d, log_sum);
  const V factor = hn::Set(d, scale);
  const auto f = [&](V v) HWY_ATTR { return hn::Mul(factor, exp(d, hn::Sub(v, shift))); };
  transform(d, columns, out, f, x);
}

void softmax_losses(const Array& logits, const Array& labels, std::int64_t ignore_index, const Array& log_sums,
                    const Array& losses) {
  dispatch_real(logits.dtype(), "cross_entropy", [&](auto tag) {
    using T = decltype(tag);
    ops::dispatch_indices(labels, "cross_entropy", "labels", [&](const auto* label) {
      const std::int64_t columns = logits.size(1);
      parallel_for(logits.size(0), row_tile(columns),
                   [=, x = logits.data<T>(), sums = log_sums.data<T>(), out = losses.data<T>()](std::int64_t begin,
                                                                                                std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) {
                       const auto index = static_cast<std::int64_t>(label[row]);
                       sums[row] = index == ignore_index ? 0 : log_sum_exp(x + row * columns, columns);
                       out[row] = index == ignore_index ? 0 : sums[row] - x[row * columns + index];
                     }
                   });
    });
  });
}

void softmax_loss_gradient(const Array& logits, const Array& labels, std::int64_t ignore_index, const Array& log_sums,
                           double scale, const Array& out) {
  dispatch_real(logits.dtype(), "cross_entropy", [&](auto tag) {
    using T = decltype(tag);
    ops::dispatch_indices(labels, "cross_entropy", "labels", [&](const auto* label) {
      const std::int64_t columns = logits.size(1);
      const auto factor = static_cast<T>(scale);
      parallel_for(logits.size(0), row_tile(columns),
                   [=, x = logits.data<T>(), sums = log_sums.data<T>(), to = out.data<T>()](std::int64_t begin,
                                                                                            std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) {
                       const auto index = static_cast<std::int64_t>(label[row]);
                       T* target = to + row * columns;
                       if (index == ignore_index) {
                         std::fill_n(target, columns, T{0});
                         continue;
                       }
                       scaled_softmax(x + row * columns, columns, sums[row], factor, target);
                       target[index] -= factor;
                     }
                   });
    });
  });
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
HWY_EXPORT(softmax_losses);
HWY_EXPORT(softmax_loss_gradient);

namespace ops {

void softmax_losses(const Array& logits, const Array& labels, std::int64_t ignore_index, const Array& log_sums,
                    const Array& losses) {
  HWY_DYNAMIC_DISPATCH(trireme::softmax_losses)(logits, labels, ignore_index, log_sums, losses);
}

void softmax_loss_gradient(const Array& logits, const Array& labels, std::int64_t ignore_index, const Array& log_sums,
                           double scale, const Array& out) {
  HWY_DYNAMIC_DISPATCH(trireme::softmax_loss_gradient)(logits, labels, ignore_index, log_sums, scale, out);
}

std::int64_t check_labels(const char* op, const Array& labels, std::int64_t rows, std::int64_t classes,
                          std::int64_t ignore_index) {
  require(labels.shape() == Shape{rows}, "{}: labels {} given for {} rows, [{}] expected", op, labels, rows, rows);
  std::int64_t kept = 0;
  dispatch_indices(labels, op, "labels", [&](const auto* label) {
    for (std::int64_t i = 0; i < rows; ++i) {
      const auto index = static_cast<std::int64_t>(label[i]);
      if (index == ignore_index) {
        continue;
      }
      require(index >= 0 && index < classes, "{}: label {} at row {} given for {} classes; [0, {}) expected", op, index,
              i, classes, classes);
      ++kept;
    }
  });
  return kept;
}

}  // namespace ops
}  // namespace trireme
#endif
