#include "trireme/core/ops/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "trireme/core/autograd/checkpoint.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/batch_norm_kernels.h"
#include "trireme/core/ops/reduction_kernels.h"
#include "trireme/core/ops/widen.h"

namespace trireme::ops {
namespace {

// x as [images, channels, plane]. Without dims behind C, x is turned into [1, C, N], so that rows are long.
struct Layout {
  explicit Layout(const Shape& shape) : channels(shape[1]), flat(shape.dims() == 2) {
    images = flat ? 1 : shape[0];
    plane = flat ? shape[0] : 1;
    for (int i = 2; i < shape.dims(); ++i) {
      plane *= shape[i];
    }
  }
  std::int64_t images = 1;
  std::int64_t channels = 1;
  std::int64_t plane = 1;
  bool flat = false;

  std::int64_t per_channel() const { return images * plane; }
  Array rows_of(const Array& x) const { return flat ? x.transpose(0, 1).contiguous() : x.contiguous(); }
  Array back(const Array& rows) const { return flat ? rows.transpose(0, 1).contiguous() : rows; }
  // Calls f(offset of the row's first element) for the rows of one channel.
  template <class F>
  void for_each_row(std::int64_t channel, const F& f) const {
    for (std::int64_t image = 0; image < images; ++image) {
      f((image * channels + channel) * plane);
    }
  }
  template <class F>
  void for_each_channel(const F& f) const {
    parallel_for(channels, std::max<std::int64_t>(1, (16 << 10) / std::max<std::int64_t>(1, per_channel())),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t channel = begin; channel < end; ++channel) {
                     f(channel);
                   }
                 });
  }
};

void check(const Array& x, const Array& vector, const char* what) {
  require(vector.shape() == Shape{x.size(1)} && takes_parameter(x.dtype(), vector.dtype()),
          "batch_norm: {} {} given for input {}, [{}] of the same dtype expected", what, vector, x, x.size(1));
}

template <class T>
double sum_channel(const Layout& layout, const T* x, std::int64_t channel) {
  double sum = 0;
  layout.for_each_row(channel,
                      [&](std::int64_t i) { sum += reduce_row(Reduction::sum, dtype_of<T>, x + i, layout.plane); });
  return sum;
}

template <class T>
double square_channel(const Layout& layout, const T* x, std::int64_t channel, T mean) {
  double squares = 0;
  layout.for_each_row(channel, [&](std::int64_t i) { squares += centered_square_row(x + i, layout.plane, mean); });
  return squares;
}

// Mean and biased variance of each channel, written to mean[c] and variance[c]. Returns the elements of a channel.
template <class T>
double measure(const Layout& layout, const T* x, T* mean, T* variance) {
  const auto n = static_cast<double>(layout.per_channel());
  layout.for_each_channel([&](std::int64_t c) {
    mean[c] = static_cast<T>(sum_channel(layout, x, c) / n);
    variance[c] = static_cast<T>(square_channel(layout, x, c, mean[c]) / n);
  });
  return n;
}

// As above over the global batch. Two exchanges, because squares around the common mean lose no digits where the mean
// is large; moments that one exchange could add would.
template <class T>
double exchange(const Layout& layout, const BatchNormOptions& options, const T* x, double* mean, double* variance) {
  const Array sums = Array::empty({layout.channels + 1}, DType::f64);
  double* sum = sums.data<double>();
  layout.for_each_channel([&](std::int64_t c) { sum[c] = sum_channel(layout, x, c); });
  sum[layout.channels] = static_cast<double>(layout.per_channel());
  options.owner->sum_over_batch(sums, options.name);
  const double n = sum[layout.channels];
  const Array squares = Array::empty({layout.channels}, DType::f64);
  double* square = squares.data<double>();
  layout.for_each_channel([&](std::int64_t c) {
    const T rounded = static_cast<T>(sum[c] / n);
    mean[c] = rounded;
    square[c] = square_channel(layout, x, c, rounded);
  });
  options.owner->sum_over_batch(squares, options.name);
  for (std::int64_t c = 0; c < layout.channels; ++c) {
    variance[c] = square[c] / n;
  }
  return n;
}

// As measure(), over the global batch; once, though forward may run twice.
template <class T>
double measure_together(const Layout& layout, const BatchNormOptions& options, const T* x, T* mean, T* variance) {
  const Array found = Array::empty({2 * layout.channels + 1}, DType::f64);
  double* means = found.data<double>();
  double* variances = means + layout.channels;
  double& n = variances[layout.channels];
  fetch_once(found.span<double>(), [&] { n = exchange(layout, options, x, means, variances); });
  for (std::int64_t c = 0; c < layout.channels; ++c) {
    mean[c] = static_cast<T>(means[c]);
    variance[c] = static_cast<T>(variances[c]);
  }
  return n;
}

// What backward works on. `scale` is 1 / sqrt(variance + eps); dx may be null.
template <class T>
struct Backward {
  const Layout& layout;
  bool training;
  double n;  // elements of a channel over which the statistics were taken
  const T *g, *x, *mean, *scale, *weight;
  T *dx, *dweight, *dbias;

  // The sums over g and over g (x - mean) of one channel; its gradients of weight and bias.
  void add_up(std::int64_t c, double& sum, double& product) const {
    sum = 0;
    product = 0;
    layout.for_each_row(c, [&](std::int64_t i) {
      sum += reduce_row(Reduction::sum, dtype_of<T>, g + i, layout.plane);
      product += centered_product_row(g + i, x + i, layout.plane, mean[c]);
    });
    dweight[c] = static_cast<T>(product * static_cast<double>(scale[c]));
    dbias[c] = static_cast<T>(sum);
  }
  // dx = w s (g - mean(g) - x^ mean(g x^)) with x^ = (x - mean) s; statistics that are constants give w s g.
  void write_dx(std::int64_t c, double sum, double product) const {
    const T factor = weight[c] * scale[c];
    const T g_mean = training ? static_cast<T>(sum / n) : T{0};
    const T slope = training ? -factor * scale[c] * static_cast<T>(product * static_cast<double>(scale[c]) / n) : T{0};
    layout.for_each_row(c, [&](std::int64_t i) {
      normalize_gradient_row(g + i, x + i, dx + i, layout.plane, g_mean, factor, mean[c], slope);
    });
  }

  void run() const {
    layout.for_each_channel([&](std::int64_t c) {
      double sum;
      double product;
      add_up(c, sum, product);
      if (dx != nullptr) {
        write_dx(c, sum, product);
      }
    });
  }
  void run_together(const BatchNormOptions& options) const {
    const Array sums = Array::empty({2 * layout.channels}, DType::f64);
    double* sum = sums.data<double>();
    double* product = sum + layout.channels;
    layout.for_each_channel([&](std::int64_t c) { add_up(c, sum[c], product[c]); });
    if (dx != nullptr) {
      options.owner->sum_over_batch(sums, options.name);
      layout.for_each_channel([&](std::int64_t c) { write_dx(c, sum[c], product[c]); });
    }
  }
};

template <class T>
BatchStatistics statistics_of(const Array& mean, const Array& variance, double n) {
  BatchStatistics statistics{mean.clone(), Array::empty(mean.shape(), mean.dtype())};
  for (std::int64_t c = 0; c < mean.count(); ++c) {
    statistics.variance.data<T>()[c] = static_cast<T>(static_cast<double>(variance.data<T>()[c]) * n / (n - 1));
  }
  return statistics;
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Array& running_mean,
                  const Array& running_variance, const BatchNormOptions& options, BatchStatistics* statistics) {
  require(x.dims() >= 2, "batch_norm: {} given, [N, C, ...] expected", x.array());
  check(x.array(), weight.array(), "weight");
  check(x.array(), bias.array(), "bias");
  const Layout layout(x.shape());
  const Array rows = layout.rows_of(x.array());
  const Array gain = widened(weight.array()).contiguous();
  const Array offset = widened(bias.array()).contiguous();
  const Array mean = Array::empty({layout.channels}, x.dtype());
  const Array scale = Array::empty({layout.channels}, x.dtype());
  const Array result = Array::empty(rows.shape(), x.dtype());
  const bool together = options.training && options.owner != nullptr;
  if (!options.training) {
    check(x.array(), running_mean, "running mean");
    check(x.array(), running_variance, "running variance");
    mean.copy_from(running_mean);
    scale.copy_from(running_variance);
  }
  double n = 0;
  dispatch_real(x.dtype(), "batch_norm", [&](auto tag) {
    using T = decltype(tag);
    T* variance = scale.data<T>();  // becomes the scale in place
    if (options.training) {
      require(x.count() > 0, "batch_norm: {} given; training needs elements in every channel", x.array());
      n = together ? measure_together(layout, options, rows.data<T>(), mean.data<T>(), variance)
                   : measure(layout, rows.data<T>(), mean.data<T>(), variance);
      require(n > 1, "batch_norm: {} given; training needs more than one element a channel", x.array());
      if (statistics != nullptr) {
        *statistics = statistics_of<T>(mean, scale, n);
      }
    }
    for (std::int64_t c = 0; c < layout.channels; ++c) {
      variance[c] = static_cast<T>(1 / std::sqrt(static_cast<double>(variance[c]) + options.eps));
    }
    layout.for_each_channel([&](std::int64_t c) {
      const T factor = gain.data<T>()[c] * variance[c];
      layout.for_each_row(c, [&](std::int64_t i) {
        normalize_row(rows.data<T>() + i, result.data<T>() + i, layout.plane, mean.data<T>()[c], factor,
                      offset.data<T>()[c]);
      });
    });
  });
  return record("batch_norm", layout.back(result), {&x, &weight, &bias},
                [layout, options, together, n, rows, mean, scale, gain](const Array& gradient, Gradients& gradients) {
                  const Array g = layout.rows_of(gradient);
                  Array dx = gradients.wants(0) ? Array::empty(rows.shape(), rows.dtype()) : Array();
                  Array dweight = Array::empty({layout.channels}, rows.dtype());
                  Array dbias = Array::empty({layout.channels}, rows.dtype());
                  dispatch_real(rows.dtype(), "batch_norm", [&](auto tag) {
                    using T = decltype(tag);
                    const Backward<T> backward{layout,
                                               options.training,
                                               n,
                                               g.data<T>(),
                                               rows.data<T>(),
                                               mean.data<T>(),
                                               scale.data<T>(),
                                               gain.data<T>(),
                                               dx.defined() ? dx.data<T>() : nullptr,
                                               dweight.data<T>(),
                                               dbias.data<T>()};
                    together ? backward.run_together(options) : backward.run();
                  });
                  if (dx.defined()) {
                    gradients.add(0, layout.back(dx));
                  }
                  gradients.add(1, std::move(dweight));
                  gradients.add(2, std::move(dbias));
                });
}

}  // namespace trireme::ops
