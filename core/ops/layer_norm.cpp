#include "trireme/core/ops/layer_norm.h"

#include <algorithm>
#include <cmath>

#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/widen.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/layer_norm.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

constexpr std::int64_t kRowTile = 64;

// One number a row: mean and 1 / standard deviation, in statistics[2 * row] and [2 * row + 1].
template <class T>
void forward_row(std::int64_t columns, const T* x, const T* weight, const T* bias, double eps, T* y, T* statistics) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  V sum = hn::Zero(d);
  for_each_vector(
      d, columns, [&](V v) HWY_ATTR { sum = hn::Add(sum, v); }, x);
  const T mean = reduce_sum(d, sum) / static_cast<T>(columns);
  // A padding lane would count as a zero, whose distance to the mean is not zero, so the tail is cut off here.
  const V centre = hn::Set(d, mean);
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t whole = columns / lanes * lanes;
  V squares = hn::Zero(d);
  const auto add_square = [&](V v) HWY_ATTR {
    const V off = hn::Sub(v, centre);
    squares = hn::MulAdd(off, off, squares);
  };
  for_each_vector(d, whole, add_square, x);
  if (whole < columns) {
    const auto left = static_cast<std::size_t>(columns - whole);
    const V off = hn::IfThenElseZero(hn::FirstN(d, left), hn::Sub(load_tail(d, x + whole, left), centre));
    squares = hn::MulAdd(off, off, squares);
  }
  const T variance = reduce_sum(d, squares) / static_cast<T>(columns);
  const T scale = static_cast<T>(1) / std::sqrt(variance + static_cast<T>(eps));
  const V factor = hn::Set(d, scale);
  const auto normalize = [&](V v, V w, V b) HWY_ATTR { return hn::MulAdd(hn::Mul(hn::Sub(v, centre), factor), w, b); };
  transform(d, columns, y, normalize, x, weight, bias);
  statistics[0] = mean;
  statistics[1] = scale;
}

template <class T>
struct RowGradient {
  const T* x;
  const T* dy;
  const T* weight;
  T* dx;       // null: not wanted
  T* dweight;  // += over rows
  T* dbias;
  T mean;
  T scale;
  bool accumulate;  // into dx
};

// With n = (x - mean) * scale and g = dy * weight: dx = scale * (g - mean(g) - n * mean(g * n)).
template <class T>
void backward_row(std::int64_t columns, const RowGradient<T>& row) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const V mean = hn::Set(d, row.mean);
  const V scale = hn::Set(d, row.scale);
  V sum = hn::Zero(d);
  V dot = hn::Zero(d);
  const auto gather = [&](V x, V dy, V w, V dw, V db, V& new_dw, V& new_db) HWY_ATTR {
    const V n = hn::Mul(hn::Sub(x, mean), scale);  // where dy is a padding zero, n changes nothing
    const V g = hn::Mul(dy, w);
    sum = hn::Add(sum, g);
    dot = hn::MulAdd(g, n, dot);
    new_dw = hn::MulAdd(dy, n, dw);
    new_db = hn::Add(db, dy);
  };
  std::int64_t i = 0;
  for (; i + lanes <= columns; i += lanes) {
    V dw, db;
    gather(hn::LoadU(d, row.x + i), hn::LoadU(d, row.dy + i), hn::LoadU(d, row.weight + i),
           hn::LoadU(d, row.dweight + i), hn::LoadU(d, row.dbias + i), dw, db);
    hn::StoreU(dw, d, row.dweight + i);
    hn::StoreU(db, d, row.dbias + i);
  }
  if (i < columns) {
    const auto left = static_cast<std::size_t>(columns - i);
    V dw, db;
    gather(load_tail(d, row.x + i, left), load_tail(d, row.dy + i, left), load_tail(d, row.weight + i, left),
           load_tail(d, row.dweight + i, left), load_tail(d, row.dbias + i, left), dw, db);
    store_tail(dw, d, row.dweight + i, left);
    store_tail(db, d, row.dbias + i, left);
  }
  if (row.dx == nullptr) {
    return;
  }
  const V mean_g = hn::Set(d, reduce_sum(d, sum) / static_cast<T>(columns));
  const V mean_gn = hn::Set(d, reduce_sum(d, dot) / static_cast<T>(columns));
  const auto gradient = [&](V x, V dy, V w) HWY_ATTR {
    const V n = hn::Mul(hn::Sub(x, mean), scale);
    const V g = hn::MulSub(dy, w, mean_g);
    return hn::Mul(scale, hn::NegMulAdd(n, mean_gn, g));
  };
  if (row.accumulate) {
    const auto added = [&](V x, V dy, V w, V dx) HWY_ATTR { return hn::Add(dx, gradient(x, dy, w)); };
    transform(d, columns, row.dx, added, row.x, row.dy, row.weight, static_cast<const T*>(row.dx));
  } else {
    transform(d, columns, row.dx, gradient, row.x, row.dy, row.weight);
  }
}

void layer_norm_forward(const Array& x, const Array& weight, const Array& bias, double eps, const Array& y,
                        const Array& statistics) {
  dispatch_real(x.dtype(), "layer_norm", [&](auto tag) {
    using T = decltype(tag);
    const std::int64_t columns = x.size(-1);
    const T* from = x.data<T>();
    const T* w = weight.data<T>();
    const T* b = bias.data<T>();
    T* to = y.data<T>();
    T* numbers = statistics.data<T>();
    parallel_for(statistics.size(0), kRowTile, [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        forward_row(columns, from + row * columns, w, b, eps, to + row * columns, numbers + 2 * row);
      }
    });
  });
}

// target (+)= the sum of `count` partial vectors, `stride` apart, in order.
template <class T>
void sum_partials(std::int64_t columns, const T* partials, std::int64_t count, std::int64_t stride, T* target,
                  bool accumulate) {
  const hn::ScalableTag<T> d;
  using V = hn::Vec<decltype(d)>;
  const auto add = [](V a, V b) HWY_ATTR { return hn::Add(a, b); };
  std::int64_t first = 0;
  if (!accumulate) {
    std::copy_n(partials, columns, target);
    first = 1;
  }
  for (std::int64_t i = first; i < count; ++i) {
    transform(d, columns, target, add, static_cast<const T*>(target), partials + i * stride);
  }
}

// dx may be undefined (not wanted). Leaves the partial sums of each tile of rows, dweight then dbias, in `partials`.
void layer_norm_backward(const Array& x, const Array& dy, const Array& weight, const Array& statistics, const Array& dx,
                         bool accumulate, const Array& partials) {
  dispatch_real(x.dtype(), "layer_norm", [&](auto tag) {
    using T = decltype(tag);
    const std::int64_t columns = x.size(-1);
    T* sums = partials.data<T>();
    const T* numbers = statistics.data<T>();
    RowGradient<T> all{
        x.data<T>(), dy.data<T>(), weight.data<T>(), dx.defined() ? dx.data<T>() : nullptr, nullptr, nullptr, 0,
        0,           accumulate};
    parallel_for(statistics.size(0), kRowTile, [=](std::int64_t begin, std::int64_t end) {
      RowGradient<T> row = all;
      row.dweight = sums + begin / kRowTile * 2 * columns;
      row.dbias = row.dweight + columns;
      std::fill_n(row.dweight, 2 * columns, T{0});
      for (std::int64_t i = begin; i < end; ++i) {
        row.x = all.x + i * columns;
        row.dy = all.dy + i * columns;
        row.dx = all.dx == nullptr ? nullptr : all.dx + i * columns;
        row.mean = numbers[2 * i];
        row.scale = numbers[2 * i + 1];
        backward_row(columns, row);
      }
    });
  });
}

// which = 0: dweight, 1: dbias.
void layer_norm_sum(const Array& partials, int which, const Array& target, bool accumulate) {
  dispatch_real(partials.dtype(), "layer_norm", [&](auto tag) {
    using T = decltype(tag);
    const std::int64_t columns = target.count();
    sum_partials(columns, partials.data<T>() + which * columns, partials.size(0), 2 * columns, target.data<T>(),
                 accumulate);
  });
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
HWY_EXPORT(layer_norm_forward);
HWY_EXPORT(layer_norm_backward);
HWY_EXPORT(layer_norm_sum);

namespace ops {

using HWY_NAMESPACE::kRowTile;

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  require(x.dims() >= 1 && x.size(-1) > 0, "layer_norm: {} given, at least one dim and one column expected", x.array());
  const std::int64_t columns = x.size(-1);
  const Shape wanted{columns};
  require(weight.shape() == wanted && bias.shape() == wanted && takes_parameter(x.dtype(), weight.dtype()) &&
              takes_parameter(x.dtype(), bias.dtype()),
          "layer_norm: weight {} and bias {} given for x {}; {}[{}] expected for both", weight.array(), bias.array(),
          x.array(), name_of(x.dtype()), columns);
  const Array input = x.array().contiguous();
  const Array w = widened(weight.array()).contiguous();
  const std::int64_t rows = input.count() / columns;
  const Array statistics = Array::empty({rows, 2}, input.dtype());
  Array out = Array::empty(input.shape(), input.dtype());
  HWY_DYNAMIC_DISPATCH(layer_norm_forward)(input, w, widened(bias.array()).contiguous(), eps, out, statistics);
  return record("layer_norm", std::move(out), {&x, &weight, &bias},
                [input, w, statistics](const Array& gradient, Gradients& gradients) {
                  const Array dy = gradient.contiguous();
                  const std::int64_t columns = w.count();
                  // At least one tile, so that an empty batch gives zeros.
                  const std::int64_t tiles = std::max<std::int64_t>(1, (statistics.size(0) + kRowTile - 1) / kRowTile);
                  const Array partials = statistics.size(0) == 0 ? Array::zeros({tiles, 2 * columns}, w.dtype())
                                                                 : Array::empty({tiles, 2 * columns}, w.dtype());
                  const auto run = [&](const Array& dx, bool accumulate) {
                    HWY_DYNAMIC_DISPATCH(layer_norm_backward)(input, dy, w, statistics, dx, accumulate, partials);
                  };
                  if (gradients.wants(0)) {
                    gradients.write(0, input.shape(), input.dtype(), run);
                  } else {
                    run(Array(), false);
                  }
                  for (const int which : {0, 1}) {
                    gradients.write(1 + which, w.shape(), w.dtype(), [&](const Array& target, bool accumulate) {
                      HWY_DYNAMIC_DISPATCH(layer_norm_sum)(partials, which, target, accumulate);
                    });
                  }
                });
}

}  // namespace ops
}  // namespace trireme
#endif
