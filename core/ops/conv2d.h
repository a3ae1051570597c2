// Two-dimensional convolution (cross-correlation, as the field calls it), images in NCHW.
#pragma once

#include <cstdint>

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

struct Conv2dOptions {
  std::int64_t stride = 1;
  std::int64_t padding = 0;  // zeros on each side
  std::int64_t dilation = 1;
  std::int64_t groups = 1;  // input and output channels are cut into this many independent convolutions
};

// x [N, C, H, W], weight [O, C / groups, KH, KW], bias [O] or undefined; f32 or f64, or f32 with
// a bf16 weight (bf16 products: gemm.h) and an f32 or bf16 bias.
// Result [N, O, (H + 2 padding - dilation (KH - 1) - 1) / stride + 1, likewise W].
//
// Patches are laid out as a matrix for each image and multiplied by gemm(). Images are spread over parallel_for; the
// weight's gradient is summed over images in an order that depends on N alone. Raises Error for shapes that do not fit.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& options = {});

}  // namespace trireme::ops
