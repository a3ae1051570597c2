// The affine map of a layer: y = x W + b.
#pragma once

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

enum class WeightLayout {
  out_in,  // [out, in], as PyTorch's Linear
  in_out,  // [in, out], as GPT-2's Conv1D
};

// y [.., out] for x [.., in]; `bias` is [out] or an undefined Tensor; f32 or f64, or f32 with a bf16 weight, whose
// products are bf16 products (gemm.h: x and dy are rounded, results are f32), and an f32 or bf16 bias. One matrix
// product forward with the bias added as it is stored; two backward, the weight's written straight to (or added onto)
// where its gradient lives.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias, WeightLayout layout = WeightLayout::out_in);

}  // namespace trireme::ops
