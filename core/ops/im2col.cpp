#include "trireme/core/ops/im2col.h"

#include <algorithm>

namespace trireme::ops {
namespace {

// The output positions [begin, end) along one dim whose tap at `offset` lies inside the image.
struct Inside {
  Inside(std::int64_t outputs, std::int64_t size, std::int64_t offset, std::int64_t stride) {
    begin = std::clamp<std::int64_t>(offset >= 0 ? 0 : (-offset + stride - 1) / stride, 0, outputs);
    end = std::clamp<std::int64_t>(size - offset <= 0 ? 0 : (size - offset - 1) / stride + 1, begin, outputs);
  }
  std::int64_t begin;
  std::int64_t end;
};

// Calls f(row of the matrix, channel's plane, vertical offset, horizontal offset) for each tap.
template <class F>
void for_each_tap(const PatchGeometry& g, const F& f) {
  std::int64_t row = 0;
  for (std::int64_t c = 0; c < g.channels; ++c) {
    for (std::int64_t i = 0; i < g.kernel_height; ++i) {
      for (std::int64_t j = 0; j < g.kernel_width; ++j, ++row) {
        f(row, c * g.height * g.width, i * g.dilation - g.padding, j * g.dilation - g.padding);
      }
    }
  }
}

}  // namespace

template <class T>
void im2col(const PatchGeometry& g, const T* image, T* columns) {
  const std::int64_t rows = g.out_height();
  const std::int64_t width = g.out_width();
  for_each_tap(g, [&](std::int64_t row, std::int64_t plane, std::int64_t dy, std::int64_t dx) {
    const Inside across(width, g.width, dx, g.stride);
    for (std::int64_t y = 0; y < rows; ++y) {
      T* out = columns + (row * rows + y) * width;
      const std::int64_t from_y = y * g.stride + dy;
      if (from_y < 0 || from_y >= g.height) {
        std::fill_n(out, width, T{0});
        continue;
      }
      const T* in = image + plane + from_y * g.width + dx;
      std::fill(out, out + across.begin, T{0});
      if (g.stride == 1) {
        std::copy(in + across.begin, in + across.end, out + across.begin);
      } else {
        for (std::int64_t x = across.begin; x < across.end; ++x) {
          out[x] = in[x * g.stride];
        }
      }
      std::fill(out + across.end, out + width, T{0});
    }
  });
}

template <class T>
void col2im(const PatchGeometry& g, const T* columns, T* image) {
  const std::int64_t rows = g.out_height();
  const std::int64_t width = g.out_width();
  std::fill_n(image, g.channels * g.height * g.width, T{0});
  for_each_tap(g, [&](std::int64_t row, std::int64_t plane, std::int64_t dy, std::int64_t dx) {
    const Inside across(width, g.width, dx, g.stride);
    for (std::int64_t y = 0; y < rows; ++y) {
      const std::int64_t to_y = y * g.stride + dy;
      if (to_y < 0 || to_y >= g.height) {
        continue;
      }
      const T* in = columns + (row * rows + y) * width;
      T* out = image + plane + to_y * g.width + dx;
      for (std::int64_t x = across.begin; x < across.end; ++x) {
        out[x * g.stride] += in[x];
      }
    }
  });
}

template void im2col(const PatchGeometry&, const float*, float*);
template void im2col(const PatchGeometry&, const double*, double*);
template void col2im(const PatchGeometry&, const float*, float*);
template void col2im(const PatchGeometry&, const double*, double*);

}  // namespace trireme::ops
