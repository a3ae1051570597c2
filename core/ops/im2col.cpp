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

// Where one tap of a shifted() geometry reads: positions [begin, end) see the pixels [begin + shift, end + shift),
// except for the positions in the columns outside of `across`, which see padding.
struct Shift {
  Shift(const PatchGeometry& g, std::int64_t dy, std::int64_t dx)
      : across(g.width, g.width, dx, 1), shift(dy * g.width + dx) {
    const Inside down(g.out_height(), g.height, dy, 1);
    begin = down.begin * g.width + across.begin;
    end = std::max(begin, down.end * g.width - (g.width - across.end));
    if (across.begin == across.end) {  // the tap sees nothing but padding
      begin = end = 0;
    }
  }
  Inside across;
  std::int64_t shift;
  std::int64_t begin;
  std::int64_t end;
};

// Zeros at the padded positions of one row of the matrix.
template <class T>
void clear_padding(const PatchGeometry& g, const Shift& shift, T* row) {
  std::fill(row, row + shift.begin, T{0});
  std::fill(row + shift.end, row + g.positions(), T{0});
  for (std::int64_t x = 0; x < g.width; ++x) {
    if (x < shift.across.begin || x >= shift.across.end) {
      for (std::int64_t at = x; at < g.positions(); at += g.width) {
        row[at] = 0;
      }
    }
  }
}

// The general case, row by row of the result: calls f(position of the row, pixel of the row, positions inside the
// image) and clear(position, length) for what is padding.
template <class F, class Clear>
void for_each_run(const PatchGeometry& g, std::int64_t dy, std::int64_t dx, const F& f, const Clear& clear) {
  const std::int64_t width = g.out_width();
  const Inside across(width, g.width, dx, g.stride);
  for (std::int64_t y = 0; y < g.out_height(); ++y) {
    const std::int64_t pixel_row = y * g.stride + dy;
    if (pixel_row < 0 || pixel_row >= g.height || across.begin == across.end) {
      clear(y * width, width);
      continue;
    }
    clear(y * width, across.begin);
    f(y * width + across.begin, pixel_row * g.width + across.begin * g.stride + dx, across.end - across.begin);
    clear(y * width + across.end, width - across.end);
  }
}

// out[i] = in[i * stride]; the usual stride as a constant, for which the compiler knows shuffles.
template <class T>
void copy_strided(const T* in, std::int64_t stride, std::int64_t count, T* out) {
  if (stride == 2) {
    for (std::int64_t i = 0; i < count; ++i) {
      out[i] = in[2 * i];
    }
    return;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    out[i] = in[i * stride];
  }
}

}  // namespace

template <class T>
void im2col(const PatchGeometry& g, const T* image, T* columns) {
  const bool shifted = g.shifted();
  for_each_tap(g, [&](std::int64_t tap, std::int64_t plane, std::int64_t dy, std::int64_t dx) {
    T* row = columns + tap * g.positions();
    const T* pixels = image + plane;
    if (shifted) {
      const Shift shift(g, dy, dx);
      if (shift.begin < shift.end) {
        std::copy(pixels + (shift.begin + shift.shift), pixels + (shift.end + shift.shift), row + shift.begin);
      }
      clear_padding(g, shift, row);
      return;
    }
    for_each_run(
        g, dy, dx,
        [&](std::int64_t position, std::int64_t pixel, std::int64_t count) {
          copy_strided(pixels + pixel, g.stride, count, row + position);
        },
        [&](std::int64_t position, std::int64_t count) { std::fill_n(row + position, count, T{0}); });
  });
}

template <class T>
void col2im(const PatchGeometry& g, T* columns, T* image) {
  const bool shifted = g.shifted();
  std::fill_n(image, g.channels * g.height * g.width, T{0});
  for_each_tap(g, [&](std::int64_t tap, std::int64_t plane, std::int64_t dy, std::int64_t dx) {
    T* row = columns + tap * g.positions();
    T* pixels = image + plane;
    if (shifted) {
      const Shift shift(g, dy, dx);
      clear_padding(g, shift, row);
      for (std::int64_t at = shift.begin; at < shift.end; ++at) {
        pixels[at + shift.shift] += row[at];
      }
      return;
    }
    for_each_run(
        g, dy, dx,
        [&](std::int64_t position, std::int64_t pixel, std::int64_t count) {
          for (std::int64_t x = 0; x < count; ++x) {
            pixels[pixel + x * g.stride] += row[position + x];
          }
        },
        [](std::int64_t, std::int64_t) {});
  });
}

template void im2col(const PatchGeometry&, const float*, float*);
template void im2col(const PatchGeometry&, const double*, double*);
template void col2im(const PatchGeometry&, float*, float*);
template void col2im(const PatchGeometry&, double*, double*);

}  // namespace trireme::ops
