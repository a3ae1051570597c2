// Patches of an image as a matrix, and back: convolution becomes a matrix product.
#pragma once

#include <cstdint>

namespace trireme::ops {

// One image of `channels` planes of height x width, seen through a window.
struct PatchGeometry {
  std::int64_t channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t kernel_height = 0;
  std::int64_t kernel_width = 0;
  std::int64_t stride = 1;
  std::int64_t padding = 0;
  std::int64_t dilation = 1;

  std::int64_t out_height() const { return extent(height, kernel_height); }
  std::int64_t out_width() const { return extent(width, kernel_width); }
  std::int64_t positions() const { return out_height() * out_width(); }
  std::int64_t taps() const { return channels * kernel_height * kernel_width; }
  // True if the patches are the image itself.
  bool identity() const { return kernel_height == 1 && kernel_width == 1 && stride == 1 && padding == 0; }
  // True if rows of the result are as long as those of the image, so that a tap sees the image shifted as a whole.
  bool shifted() const { return stride == 1 && out_width() == width; }

 private:
  std::int64_t extent(std::int64_t size, std::int64_t kernel) const {
    const std::int64_t room = size + 2 * padding - dilation * (kernel - 1) - 1;
    return room < 0 ? 0 : room / stride + 1;
  }
};

// columns[taps, positions]: row (c, i, j) holds what tap (i, j) of channel c sees at each position, zeros outside.
template <class T>
void im2col(const PatchGeometry& geometry, const T* image, T* columns);
// The adjoint: every element of `columns` is added to the pixel it came from. Both are overwritten.
template <class T>
void col2im(const PatchGeometry& geometry, T* columns, T* image);

}  // namespace trireme::ops
