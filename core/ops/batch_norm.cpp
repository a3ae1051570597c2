#include "trireme/core/ops/batch_norm.h"

#include <algorithm>
#include <cmath>

#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/batch_norm_kernels.h"
#include "trireme/core/ops/reduction_kernels.h"

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
  require(vector.shape() == Shape{x.size(1)} && vector.dtype() == x.dtype(),
          "batch_norm: {} {} given for input {}, [{}] of the same dtype expected", what, vector, x, x.size(1));
}

// Mean and biased variance of each channel, written to mean[c] and variance[c].
template <class T>
void measure(const Layout& layout, const T* x, T* mean, T* variance) {
  const auto n = static_cast<double>(layout.per_channel());
  layout.for_each_channel([&](std::int64_t c) {
    double sum = 0;
    layout.for_each_row(c,
                        [&](std::int64_t i) { sum += reduce_row(Reduction::sum, dtype_of<T>, x + i, layout.plane); });
    mean[c] = static_cast<T>(sum / n);
    double squares = 0;
    layout.for_each_row(c, [&](std::int64_t i) { squares += centered_square_row(x + i, layout.plane, mean[c]); });
    variance[c] = static_cast<T>(squares / n);
  });
}

// The gradients of one call. `scale` is 1 / sqrt(variance + eps).
template <class T>
void backward(const Layout& layout, bool training, const T* g, const T* x, const T* mean, const T* scale,
              const T* weight, T* dx, T* dweight, T* dbias) {
  const auto n = static_cast<double>(layout.per_channel());
  layout.for_each_channel([&](std::int64_t c) {
    double sum = 0;
    double product = 0;
    layout.for_each_row(c, [&](std::int64_t i) {
      sum += reduce_row(Reduction::sum, dtype_of<T>, g + i, layout.plane);
      product += centered_product_row(g + i, x + i, layout.plane, mean[c]);
    });
    dweight[c] = static_cast<T>(product * static_cast<double>(scale[c]));
    dbias[c] = static_cast<T>(sum);
    if (dx == nullptr) {
      return;
    }
    // dx = w s (g - mean(g) - x^ mean(g x^)) with x^ = (x - mean) s; statistics that are constants give w s g.
    const T factor = weight[c] * scale[c];
    const T g_mean = training ? static_cast<T>(sum / n) : T{0};
    const T slope = training ? -factor * scale[c] * static_cast<T>(product * static_cast<double>(scale[c]) / n) : T{0};
    layout.for_each_row(c, [&](std::int64_t i) {
      normalize_gradient_row(g + i, x + i, dx + i, layout.plane, g_mean, factor, mean[c], slope);
    });
  });
}

}  // namespace

Tensor batch_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, const Array& running_mean,
                  const Array& running_variance, const BatchNormOptions& options, BatchStatistics* statistics) {
  require(x.dims() >= 2, "batch_norm: {} given, [N, C, ...] expected", x.array());
  check(x.array(), weight.array(), "weight");
  check(x.array(), bias.array(), "bias");
  const Layout layout(x.shape());
  const Array rows = layout.rows_of(x.array());
  const Array gain = weight.array().contiguous();
  const Array offset = bias.array().contiguous();
  const Array mean = Array::empty({layout.channels}, x.dtype());
  const Array scale = Array::empty({layout.channels}, x.dtype());
  const Array result = Array::empty(rows.shape(), x.dtype());
  if (options.training) {
    require(layout.per_channel() > 1, "batch_norm: {} given; training needs more than one element a channel",
            x.array());
  } else {
    check(x.array(), running_mean, "running mean");
    check(x.array(), running_variance, "running variance");
    mean.copy_from(running_mean);
    scale.copy_from(running_variance);
  }
  dispatch_real(x.dtype(), "batch_norm", [&](auto tag) {
    using T = decltype(tag);
    T* variance = scale.data<T>();  // becomes the scale in place
    if (options.training) {
      measure(layout, rows.data<T>(), mean.data<T>(), variance);
      if (statistics != nullptr) {
        const auto n = static_cast<double>(layout.per_channel());
        *statistics = {mean.clone(), Array::empty({layout.channels}, x.dtype())};
        for (std::int64_t c = 0; c < layout.channels; ++c) {
          statistics->variance.data<T>()[c] = static_cast<T>(static_cast<double>(variance[c]) * n / (n - 1));
        }
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
  return record(
      "batch_norm", layout.back(result), {&x, &weight, &bias},
      [layout, training = options.training, rows, mean, scale, gain](const Array& gradient, Gradients& gradients) {
        const Array g = layout.rows_of(gradient);
        Array dx = gradients.wants(0) ? Array::empty(rows.shape(), rows.dtype()) : Array();
        Array dweight = Array::empty({layout.channels}, rows.dtype());
        Array dbias = Array::empty({layout.channels}, rows.dtype());
        dispatch_real(rows.dtype(), "batch_norm", [&](auto tag) {
          using T = decltype(tag);
          backward(layout, training, g.data<T>(), rows.data<T>(), mean.data<T>(), scale.data<T>(), gain.data<T>(),
                   dx.defined() ? dx.data<T>() : nullptr, dweight.data<T>(), dbias.data<T>());
        });
        if (dx.defined()) {
          gradients.add(0, layout.back(dx));
        }
        gradients.add(1, std::move(dweight));
        gradients.add(2, std::move(dbias));
      });
}

}  // namespace trireme::ops
