#include "trireme/core/ops/pooling.h"

#include <algorithm>
#include <limits>

#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/reduce.h"

namespace trireme::ops {
namespace {

constexpr std::int64_t kTile = 16 << 10;  // pixels of the input

struct Windows {
  std::int64_t planes = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t kernel = 1;
  std::int64_t stride = 1;
  std::int64_t padding = 0;

  std::int64_t out_height() const { return (height + 2 * padding - kernel) / stride + 1; }
  std::int64_t out_width() const { return (width + 2 * padding - kernel) / stride + 1; }
  std::int64_t pixels() const { return height * width; }
  std::int64_t positions() const { return out_height() * out_width(); }

  // Calls f(plane, position, top, bottom, left, right) for each window, cut off at the image's edges.
  template <class F>
  void for_each(std::int64_t begin, std::int64_t end, const F& f) const {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      std::int64_t position = 0;
      for (std::int64_t y = 0; y < out_height(); ++y) {
        const std::int64_t top = y * stride - padding;
        for (std::int64_t x = 0; x < out_width(); ++x, ++position) {
          const std::int64_t left = x * stride - padding;
          f(plane, position, std::max<std::int64_t>(0, top), std::min(height, top + kernel),
            std::max<std::int64_t>(0, left), std::min(width, left + kernel));
        }
      }
    }
  }
  template <class F>
  void for_each_in_parallel(const F& f) const {
    parallel_for(planes, std::max<std::int64_t>(1, kTile / std::max<std::int64_t>(1, pixels())),
                 [&](std::int64_t begin, std::int64_t end) { f(begin, end); });
  }
};

Windows windows_of(const Array& x, const Pool2dOptions& o, const char* name) {
  require(x.dims() == 4, "{}: {} given, [N, C, H, W] expected", name, x);
  require(
      o.kernel >= 1 && o.stride >= 0 && o.padding >= 0 && 2 * o.padding <= o.kernel,
      "{}: kernel {}, stride {}, padding {} given; kernel at least 1, stride not negative, padding at most half of the "
      "kernel expected",
      name, o.kernel, o.stride, o.padding);
  require(x.size(2) + 2 * o.padding >= o.kernel && x.size(3) + 2 * o.padding >= o.kernel,
          "{}: {} given, smaller than the window of {}", name, x, o.kernel);
  return {x.size(0) * x.size(1), x.size(2), x.size(3), o.kernel, o.stride == 0 ? o.kernel : o.stride, o.padding};
}

Shape result_shape(const Array& x, const Windows& w) { return {x.size(0), x.size(1), w.out_height(), w.out_width()}; }

// Where in its plane each window's largest element lies: what backward needs instead of x.
template <class T>
void max_forward(const Windows& w, const T* x, T* y, std::int32_t* where) {
  w.for_each_in_parallel([&](std::int64_t begin, std::int64_t end) {
    w.for_each(begin, end,
               [&](std::int64_t plane, std::int64_t position, auto top, auto bottom, auto left, auto right) {
                 const T* pixels = x + plane * w.pixels();
                 std::int64_t best = top * w.width + left;
                 for (std::int64_t i = top; i < bottom; ++i) {
                   for (std::int64_t j = left; j < right; ++j) {
                     const std::int64_t at = i * w.width + j;
                     if (pixels[at] > pixels[best] || (pixels[at] != pixels[at] && pixels[best] == pixels[best])) {
                       best = at;
                     }
                   }
                 }
                 y[plane * w.positions() + position] = pixels[best];
                 where[plane * w.positions() + position] = static_cast<std::int32_t>(best);
               });
  });
}

template <class T>
void max_backward(const Windows& w, const T* g, const std::int32_t* where, T* dx) {
  w.for_each_in_parallel([&](std::int64_t begin, std::int64_t end) {
    std::fill(dx + begin * w.pixels(), dx + end * w.pixels(), T{0});
    for (std::int64_t plane = begin; plane < end; ++plane) {
      for (std::int64_t i = plane * w.positions(); i < (plane + 1) * w.positions(); ++i) {
        dx[plane * w.pixels() + where[i]] += g[i];
      }
    }
  });
}

template <class T>
void avg_forward(const Windows& w, const T* x, T* y) {
  const T share = T{1} / static_cast<T>(w.kernel * w.kernel);
  w.for_each_in_parallel([&](std::int64_t begin, std::int64_t end) {
    w.for_each(begin, end,
               [&](std::int64_t plane, std::int64_t position, auto top, auto bottom, auto left, auto right) {
                 T sum = 0;
                 for (std::int64_t i = top; i < bottom; ++i) {
                   for (std::int64_t j = left; j < right; ++j) {
                     sum += x[plane * w.pixels() + i * w.width + j];
                   }
                 }
                 y[plane * w.positions() + position] = sum * share;
               });
  });
}

template <class T>
void avg_backward(const Windows& w, const T* g, T* dx) {
  const T share = T{1} / static_cast<T>(w.kernel * w.kernel);
  w.for_each_in_parallel([&](std::int64_t begin, std::int64_t end) {
    std::fill(dx + begin * w.pixels(), dx + end * w.pixels(), T{0});
    w.for_each(begin, end,
               [&](std::int64_t plane, std::int64_t position, auto top, auto bottom, auto left, auto right) {
                 const T value = g[plane * w.positions() + position] * share;
                 for (std::int64_t i = top; i < bottom; ++i) {
                   for (std::int64_t j = left; j < right; ++j) {
                     dx[plane * w.pixels() + i * w.width + j] += value;
                   }
                 }
               });
  });
}

}  // namespace

Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options) {
  const Array image = x.array().contiguous();
  const Windows w = windows_of(image, options, "max_pool2d");
  require(w.pixels() <= std::numeric_limits<std::int32_t>::max(), "max_pool2d: {} given, planes are too large", image);
  Array result = Array::empty(result_shape(image, w), image.dtype());
  const Array where = Array::empty(result.shape(), DType::i32);
  dispatch_real(image.dtype(), "max_pool2d", [&](auto tag) {
    using T = decltype(tag);
    max_forward(w, image.data<T>(), result.data<T>(), where.data<std::int32_t>());
  });
  return record("max_pool2d", std::move(result), {&x},
                [w, where, shape = image.shape()](const Array& gradient, Gradients& gradients) {
                  Array dx = Array::empty(shape, gradient.dtype());
                  dispatch_real(gradient.dtype(), "max_pool2d", [&](auto tag) {
                    using T = decltype(tag);
                    max_backward(w, gradient.data<T>(), where.data<std::int32_t>(), dx.data<T>());
                  });
                  gradients.add(0, std::move(dx));
                });
}

Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options) {
  const Array image = x.array().contiguous();
  const Windows w = windows_of(image, options, "avg_pool2d");
  Array result = Array::empty(result_shape(image, w), image.dtype());
  dispatch_real(image.dtype(), "avg_pool2d", [&](auto tag) {
    using T = decltype(tag);
    avg_forward(w, image.data<T>(), result.data<T>());
  });
  return record("avg_pool2d", std::move(result), {&x},
                [w, shape = image.shape()](const Array& gradient, Gradients& gradients) {
                  Array dx = Array::empty(shape, gradient.dtype());
                  dispatch_real(gradient.dtype(), "avg_pool2d", [&](auto tag) {
                    using T = decltype(tag);
                    avg_backward(w, gradient.data<T>(), dx.data<T>());
                  });
                  gradients.add(0, std::move(dx));
                });
}

Tensor global_avg_pool2d(const Tensor& x) {
  require(x.dims() == 4, "global_avg_pool2d: {} given, [N, C, H, W] expected", x.array());
  return mean(x, {2, 3});
}

}  // namespace trireme::ops
