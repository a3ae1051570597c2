// Rearrangements of a tensor: views where the strides allow it, copies otherwise. Any dtype; dims may be negative.
//
// Views share the elements of their input. Gradients are rearranged back.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

Tensor reshape(const Tensor& x, const Shape& shape);  // one size may be -1
Tensor flatten(const Tensor& x, int first_dim = 0);   // dims first_dim .. last become one
Tensor transpose(const Tensor& x, int dim_a, int dim_b);
Tensor permute(const Tensor& x, std::initializer_list<int> order);  // result dim i is x's dim order[i]
Tensor narrow(const Tensor& x, int dim, std::int64_t start, std::int64_t length);
Tensor select(const Tensor& x, int dim, std::int64_t index);  // narrow by one, dim dropped
Tensor broadcast_to(const Tensor& x, const Shape& shape);
Tensor contiguous(const Tensor& x);

// Joins tensors that are equal in all dims but `dim`; f32 and bf16 together become f32. Raises Error for none.
Tensor concat(std::span<const Tensor> tensors, int dim);
// Joins tensors of equal shape along a new dim.
Tensor stack(std::span<const Tensor> tensors, int dim);
// Cuts a dim into pieces of `length`, the last perhaps shorter.
std::vector<Tensor> split(const Tensor& x, std::int64_t length, int dim);

inline Tensor concat(std::initializer_list<Tensor> tensors, int dim) {
  return concat(std::span<const Tensor>(tensors.begin(), tensors.size()), dim);
}
inline Tensor stack(std::initializer_list<Tensor> tensors, int dim) {
  return stack(std::span<const Tensor>(tensors.begin(), tensors.size()), dim);
}

}  // namespace trireme::ops
