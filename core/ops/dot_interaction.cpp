#include "trireme/core/ops/dot_interaction.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/core/ops/dot_interaction.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/parallel.h"
#include "trireme/core/base/simd-inl.h"
#include "trireme/core/ops/interaction_sizes.h"
#include "trireme/core/ops/workspace.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

using ops::InteractionSizes;

// out[j] = x_i . x_j for j < i, given the vectors as columns [D][N].
template <class T>
HWY_INLINE void dots_of(const T* columns, const InteractionSizes& s, std::int64_t i, T* out) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t j = 0; j < i; j += lanes) {
    const auto left = static_cast<std::size_t>(std::min(lanes, i - j));
    auto sum = hn::Zero(d);
    for (std::int64_t k = 0; k < s.width; ++k) {
      const T* column = columns + k * s.vectors;
      sum = hn::MulAdd(hn::Set(d, column[i]), load_tail(d, column + j, left), sum);
    }
    store_tail(sum, d, out + j, left);
  }
}

template <class T>
void forward_kernel(const InteractionSizes& s, const T* dense, const T* rows, T* columns, T* out) {
  for (std::int64_t k = 0; k < s.width; ++k) {
    out[k] = dense[k];
    columns[k * s.vectors] = dense[k];
    for (std::int64_t i = 1; i < s.vectors; ++i) {
      columns[k * s.vectors + i] = rows[(i - 1) * s.width + k];
    }
  }
  T* dots = out + s.width;
  for (std::int64_t i = 1; i < s.vectors; dots += i++) {
    dots_of(columns, s, i, dots);
  }
}

// out += the sum over all other vectors j, in order, of (gradient of x_i . x_j) * x_j.
template <class T>
HWY_INLINE void add_gradient(const InteractionSizes& s, const T* dense, const T* rows, const T* dots, std::int64_t i,
                             T* out) {
  const hn::ScalableTag<T> d;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  for (std::int64_t k = 0; k < s.width; k += lanes) {
    const auto left = static_cast<std::size_t>(std::min(lanes, s.width - k));
    auto sum = load_tail(d, out + k, left);
    for (std::int64_t j = 0; j < s.vectors; ++j) {
      if (j != i) {
        const std::int64_t high = std::max(i, j), low = std::min(i, j);
        const T* other = j == 0 ? dense : rows + (j - 1) * s.width;
        sum = hn::MulAdd(hn::Set(d, dots[high * (high - 1) / 2 + low]), load_tail(d, other + k, left), sum);
      }
    }
    store_tail(sum, d, out + k, left);
  }
}

void forward_f32(const InteractionSizes& s, const float* dense, const float* rows, float* columns, float* out) {
  forward_kernel(s, dense, rows, columns, out);
}
void forward_f64(const InteractionSizes& s, const double* dense, const double* rows, double* columns, double* out) {
  forward_kernel(s, dense, rows, columns, out);
}
void add_f32(const InteractionSizes& s, const float* dense, const float* rows, const float* dots, std::int64_t i,
             float* out) {
  add_gradient(s, dense, rows, dots, i, out);
}
void add_f64(const InteractionSizes& s, const double* dense, const double* rows, const double* dots, std::int64_t i,
             double* out) {
  add_gradient(s, dense, rows, dots, i, out);
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
namespace {

HWY_EXPORT(forward_f32);
HWY_EXPORT(forward_f64);
HWY_EXPORT(add_f32);
HWY_EXPORT(add_f64);

constexpr std::int64_t kTile = 64;  // examples

void forward_of(const ops::InteractionSizes& s, const float* dense, const float* rows, float* columns, float* out) {
  HWY_DYNAMIC_DISPATCH(forward_f32)(s, dense, rows, columns, out);
}
void forward_of(const ops::InteractionSizes& s, const double* dense, const double* rows, double* columns, double* out) {
  HWY_DYNAMIC_DISPATCH(forward_f64)(s, dense, rows, columns, out);
}
void add_to(const ops::InteractionSizes& s, const float* dense, const float* rows, const float* dots, std::int64_t i,
            float* out) {
  HWY_DYNAMIC_DISPATCH(add_f32)(s, dense, rows, dots, i, out);
}
void add_to(const ops::InteractionSizes& s, const double* dense, const double* rows, const double* dots, std::int64_t i,
            double* out) {
  HWY_DYNAMIC_DISPATCH(add_f64)(s, dense, rows, dots, i, out);
}

// The examples' places in the arrays, which are contiguous.
template <class T>
struct Examples {
  ops::InteractionSizes sizes;
  const T* dense;
  const T* rows;

  const T* dense_of(std::int64_t example) const { return dense + example * sizes.width; }
  const T* rows_of(std::int64_t example) const { return rows + example * (sizes.vectors - 1) * sizes.width; }
};

template <class T>
void forward(const Examples<T>& x, std::int64_t count, T* out) {
  parallel_for(count, kTile, [&](std::int64_t begin, std::int64_t end) {
    thread_local ops::Workspace workspace;
    T* columns = workspace.get<T>(static_cast<std::size_t>(x.sizes.vectors * x.sizes.width));
    for (std::int64_t e = begin; e < end; ++e) {
      forward_of(x.sizes, x.dense_of(e), x.rows_of(e), columns, out + e * x.sizes.result());
    }
  });
}

template <class T>
void backward_dense(const Examples<T>& x, const T* gradient, std::int64_t count, T* out, bool accumulate) {
  const std::int64_t width = x.sizes.width;
  parallel_for(count, kTile, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t e = begin; e < end; ++e) {
      const T* from = gradient + e * x.sizes.result();
      T* to = out + e * width;
      for (std::int64_t k = 0; k < width; ++k) {
        to[k] = accumulate ? to[k] + from[k] : from[k];
      }
      add_to(x.sizes, x.dense_of(e), x.rows_of(e), from + width, 0, to);
    }
  });
}

template <class T>
void backward_rows(const Examples<T>& x, const T* gradient, std::int64_t count, T* out, bool accumulate) {
  const std::int64_t width = x.sizes.width, rows = x.sizes.vectors - 1;
  parallel_for(count, kTile, [&](std::int64_t begin, std::int64_t end) {
    if (!accumulate) {
      std::fill(out + begin * rows * width, out + end * rows * width, T{0});
    }
    for (std::int64_t e = begin; e < end; ++e) {
      for (std::int64_t i = 0; i < rows; ++i) {
        add_to(x.sizes, x.dense_of(e), x.rows_of(e), gradient + e * x.sizes.result() + width, i + 1,
               out + (e * rows + i) * width);
      }
    }
  });
}

}  // namespace

namespace ops {

Tensor dot_interaction(const Tensor& dense, const Tensor& rows) {
  require(dense.dims() == 2 && rows.dims() == 3 && dense.size(0) == rows.size(0) && dense.size(1) == rows.size(2) &&
              dense.dtype() == rows.dtype(),
          "dot_interaction: dense {} and rows {} given; [B, D] and [B, F, D] of one dtype expected", dense.array(),
          rows.array());
  const Array v0 = dense.array().contiguous(), others = rows.array().contiguous();
  const InteractionSizes sizes{rows.size(1) + 1, dense.size(1)};
  const std::int64_t count = dense.size(0);
  Array out = Array::empty({count, sizes.result()}, dense.dtype());
  dispatch_real(dense.dtype(), "dot_interaction", [&](auto tag) {
    using T = decltype(tag);
    forward(Examples<T>{sizes, v0.data<T>(), others.data<T>()}, count, out.data<T>());
  });
  return record("dot_interaction", std::move(out), {&dense, &rows},
                [v0, others, sizes, count](const Array& gradient, Gradients& gradients) {
                  dispatch_real(v0.dtype(), "dot_interaction", [&](auto tag) {
                    using T = decltype(tag);
                    const Examples<T> x{sizes, v0.data<T>(), others.data<T>()};
                    const T* dy = gradient.data<T>();
                    gradients.write(0, v0.shape(), v0.dtype(), [&](const Array& target, bool accumulate) {
                      backward_dense(x, dy, count, target.data<T>(), accumulate);
                    });
                    gradients.write(1, others.shape(), v0.dtype(), [&](const Array& target, bool accumulate) {
                      backward_rows(x, dy, count, target.data<T>(), accumulate);
                    });
                  });
                });
}

}  // namespace ops
}  // namespace trireme
#endif
