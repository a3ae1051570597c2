// Pooling over windows of images in NCHW.
#pragma once

#include <cstdint>

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

struct Pool2dOptions {
  std::int64_t kernel = 2;
  std::int64_t stride = 0;   // 0: the kernel's size
  std::int64_t padding = 0;  // at most half of the kernel
};

// x [N, C, H, W], f32 or f64 -> [N, C, (H + 2 padding - kernel) / stride + 1, likewise W]. Raise Error where no window
// fits.
//
// The largest element of each window, padding left out; the first of equal ones gets the gradient, and NaN wins.
Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options = {});
// The mean of each window; padding counts as zeros (PyTorch's count_include_pad).
Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options = {});
// The mean of each plane: [N, C, H, W] -> [N, C].
Tensor global_avg_pool2d(const Tensor& x);

}  // namespace trireme::ops
