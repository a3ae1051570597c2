#include "trireme/core/ops/conv2d.h"

#include <algorithm>
#include <optional>

#include "trireme/core/array/accumulate.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/ops/im2col.h"
#include "trireme/core/ops/product.h"
#include "trireme/core/ops/reduction.h"
#include "trireme/core/ops/widen.h"
#include "trireme/core/ops/workspace.h"

namespace trireme::ops {
namespace {

// Into so many partial sums the images are cut for the weight's gradient; their number must not depend on threads.
constexpr std::int64_t kWeightTiles = 8;

struct Convolution {
  PatchGeometry patch;  // of one group
  std::int64_t images = 0;
  std::int64_t groups = 1;
  std::int64_t outputs = 0;  // channels of one group's result

  std::int64_t image_elements() const { return patch.channels * patch.height * patch.width; }
  std::int64_t result_elements() const { return outputs * patch.positions(); }
  std::int64_t weight_elements() const { return outputs * patch.taps(); }
  Shape result_shape() const { return {images, groups * outputs, patch.out_height(), patch.out_width()}; }
  // The offset of (image, group) in x and in the result, whose groups are neighbours.
  std::int64_t image_offset(std::int64_t index) const { return index * image_elements(); }
  std::int64_t result_offset(std::int64_t index) const { return index * result_elements(); }
  std::int64_t weight_offset(std::int64_t index) const { return index % groups * weight_elements(); }
};

Convolution check(const Array& x, const Array& weight, const Array& bias, const Conv2dOptions& o) {
  require(x.dims() == 4 && weight.dims() == 4 && takes_parameter(x.dtype(), weight.dtype()),
          "conv2d: input {} and weight {} given, [N, C, H, W] and [O, C / groups, KH, KW] of one dtype expected", x,
          weight);
  require(o.stride >= 1 && o.padding >= 0 && o.dilation >= 1 && o.groups >= 1,
          "conv2d: stride {}, padding {}, dilation {}, groups {} given; padding may be 0, the others at least 1",
          o.stride, o.padding, o.dilation, o.groups);
  require(x.size(1) == weight.size(1) * o.groups && weight.size(0) % o.groups == 0,
          "conv2d: input {} and weight {} do not fit with {} groups", x, weight, o.groups);
  require(!bias.defined() || (bias.shape() == Shape{weight.size(0)} && bias.dtype() == x.dtype()),
          "conv2d: bias {} given for weight {}", bias, weight);
  Convolution c;
  c.patch = {weight.size(1), x.size(2), x.size(3), weight.size(2), weight.size(3), o.stride, o.padding, o.dilation};
  c.images = x.size(0);
  c.groups = o.groups;
  c.outputs = weight.size(0) / o.groups;
  require(c.patch.positions() > 0, "conv2d: input {} is smaller than the window of weight {}", x, weight);
  return c;
}

template <class T>
const T* patches(const PatchGeometry& patch, const T* image) {
  if (patch.identity()) {
    return image;
  }
  thread_local Workspace workspace;
  T* columns = workspace.get<T>(static_cast<std::size_t>(patch.taps() * patch.positions()));
  im2col(patch, image, columns);
  return columns;
}

// y[O, P] = weight[O, K] columns[K, P] (+ bias)
template <class T, class R = ProductResult<T>>
void forward(const Convolution& c, const R* x, const T* weight, const R* bias, R* y) {
  const std::int64_t positions = c.patch.positions();
  parallel_for(c.images * c.groups, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      R* out = y + c.result_offset(i);
      if (bias != nullptr) {
        for (std::int64_t o = 0; o < c.outputs; ++o) {
          std::fill_n(out + o * positions, positions, bias[i % c.groups * c.outputs + o]);
        }
      }
      gemm(GemmArgs<T>{.m = c.outputs,
                       .n = positions,
                       .k = c.patch.taps(),
                       .a = weight + c.weight_offset(i),
                       .lda = c.patch.taps(),
                       .b = patches(c.patch, x + c.image_offset(i)),
                       .ldb = positions,
                       .c = out,
                       .ldc = positions,
                       .accumulate = bias != nullptr});
    }
  });
}

// The gradient's patches as the pixels see them: a convolution of step 1 run backwards is one with flipped weights, and
// gathering patches is cheaper than adding them back where they came from.
std::optional<PatchGeometry> reversed(const PatchGeometry& p, std::int64_t outputs) {
  const std::int64_t padding = p.dilation * (p.kernel_width - 1) - p.padding;
  if (p.stride != 1 || p.kernel_height != p.kernel_width || padding < 0 || p.identity()) {
    return std::nullopt;
  }
  return PatchGeometry{outputs, p.out_height(), p.out_width(), p.kernel_height, p.kernel_width, 1, padding, p.dilation};
}

// flipped[C, O, taps] of weight[O, C, taps], the last tap first.
template <class T>
void flip(const Convolution& c, const T* weight, T* flipped) {
  const std::int64_t taps = c.patch.kernel_height * c.patch.kernel_width;
  for (std::int64_t o = 0; o < c.outputs; ++o) {
    for (std::int64_t channel = 0; channel < c.patch.channels; ++channel) {
      const T* from = weight + (o * c.patch.channels + channel) * taps;
      std::reverse_copy(from, from + taps, flipped + (channel * c.outputs + o) * taps);
    }
  }
}

// dx[C, pixels] = flipped[C, O taps] patches of dy[O taps, pixels]
template <class T, class R = ProductResult<T>>
void backward_reversed(const Convolution& c, const PatchGeometry& patch, const R* dy, const Array& weight, R* dx) {
  const Array flipped = Array::empty(weight.shape(), weight.dtype());
  for (std::int64_t group = 0; group < c.groups; ++group) {
    flip(c, weight.data<T>() + c.weight_offset(group), flipped.data<T>() + c.weight_offset(group));
  }
  parallel_for(c.images * c.groups, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      gemm(GemmArgs<T>{.m = c.patch.channels,
                       .n = patch.positions(),
                       .k = patch.taps(),
                       .a = flipped.data<T>() + c.weight_offset(i),
                       .lda = patch.taps(),
                       .b = patches(patch, dy + c.result_offset(i)),
                       .ldb = patch.positions(),
                       .c = dx + c.image_offset(i),
                       .ldc = patch.positions()});
    }
  });
}

// columns[K, P] = weight^T[K, O] dy[O, P], then back into the image.
template <class T, class R = ProductResult<T>>
void backward_input(const Convolution& c, const R* dy, const Array& weight, R* dx) {
  if (const auto patch = reversed(c.patch, c.outputs)) {
    return backward_reversed<T>(c, *patch, dy, weight, dx);
  }
  const std::int64_t positions = c.patch.positions();
  parallel_for(c.images * c.groups, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      thread_local Workspace workspace;
      R* image = dx + c.image_offset(i);
      R* columns = c.patch.identity() ? image : workspace.get<R>(static_cast<std::size_t>(c.patch.taps() * positions));
      gemm(GemmArgs<T>{.transpose_a = true,
                       .m = c.patch.taps(),
                       .n = positions,
                       .k = c.outputs,
                       .a = weight.data<T>() + c.weight_offset(i),
                       .lda = c.patch.taps(),
                       .b = dy + c.result_offset(i),
                       .ldb = positions,
                       .c = columns,
                       .ldc = positions});
      if (!c.patch.identity()) {
        col2im(c.patch, columns, image);
      }
    }
  });
}

// dw[O, K] += dy[O, P] columns^T[P, K] over the images of a tile; the tiles' sums are added in order.
template <class T, class R = ProductResult<T>>
void backward_weight(const Convolution& c, const R* x, const R* dy, const Array& dw, bool accumulate) {
  const std::int64_t positions = c.patch.positions();
  const std::int64_t tiles = std::min(c.images, kWeightTiles);
  const std::int64_t elements = c.groups * c.weight_elements();
  const bool direct = tiles == 1 && !accumulate;
  const Array partial = direct ? dw : Array::empty({tiles, elements}, dw.dtype());
  parallel_for(tiles * c.groups, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t tile = task / c.groups;
      const std::int64_t group = task % c.groups;
      for (std::int64_t image = c.images * tile / tiles; image < c.images * (tile + 1) / tiles; ++image) {
        const std::int64_t i = image * c.groups + group;
        gemm(GemmArgs<T>{.transpose_b = true,
                         .m = c.outputs,
                         .n = c.patch.taps(),
                         .k = positions,
                         .a = dy + c.result_offset(i),
                         .lda = positions,
                         .b = patches(c.patch, x + c.image_offset(i)),
                         .ldb = positions,
                         .c = partial.data<R>() + tile * elements + c.weight_offset(i),
                         .ldc = c.patch.taps(),
                         .accumulate = image != c.images * tile / tiles});
      }
    }
  });
  if (!direct) {
    DimSet first;
    first.add(0);
    const Array sum = reduce(Reduction::sum, partial, first).reshape(dw.shape());
    accumulate ? trireme::accumulate(dw, sum) : dw.copy_from(sum);
  }
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options) {
  const Array image = x.array().contiguous();
  const Array kernel = weight.array().contiguous();
  const Array offset = bias.defined() ? widened(bias.array()).contiguous() : Array();
  const Convolution c = check(image, kernel, offset, options);
  Array result = Array::empty(c.result_shape(), image.dtype());
  dispatch_product(kernel.dtype(), "conv2d", [&](auto tag) {
    using T = decltype(tag);
    using R = ProductResult<T>;
    forward<T>(c, image.data<R>(), kernel.data<T>(), offset.defined() ? offset.data<R>() : nullptr, result.data<R>());
  });
  return record("conv2d", std::move(result), {&x, &weight, &bias},
                [c, image, kernel](const Array& gradient, Gradients& gradients) {
                  dispatch_product(kernel.dtype(), "conv2d", [&](auto tag) {
                    using T = decltype(tag);
                    using R = ProductResult<T>;
                    const R* dy = gradient.data<R>();
                    if (gradients.wants(0)) {
                      Array dx = Array::empty(image.shape(), image.dtype());
                      backward_input<T>(c, dy, kernel, dx.data<R>());
                      gradients.add(0, std::move(dx));
                    }
                    gradients.write(1, kernel.shape(), gradient.dtype(), [&](const Array& dw, bool accumulate) {
                      if (c.images > 0) {
                        backward_weight<T>(c, image.data<R>(), dy, dw, accumulate);
                      } else if (!accumulate) {
                        dw.fill(0);
                      }
                    });
                  });
                  if (gradients.wants(2)) {
                    DimSet dims;
                    dims.add(0);
                    dims.add(2);
                    dims.add(3);
                    gradients.add(2, reduce(Reduction::sum, gradient, dims).reshape({gradient.size(1)}));
                  }
                });
}

}  // namespace trireme::ops
