// Rows of a table chosen by index.
#pragma once

#include <cstdint>

#include "trireme/core/autograd/tensor.h"

namespace trireme::ops {

// out[.., :] = table[indices[..], :] for table [V, C] (f32 or f64; bf16 gives f32 rows) and indices of dtype i64, i32
// or u8, any shape. An index outside [0, V) raises Error naming it and its place. The gradient adds rows in the order
// of the indices, whatever the number of threads; a table that keeps rows (LeafNode) gets the touched ones only.
Tensor embedding(const Tensor& table, const Array& indices);

// Calls f(const Index*) for the elements of a contiguous i64, i32 or u8 array; `op` and `what` name it in the error.
template <class F>
decltype(auto) dispatch_indices(const Array& indices, const char* op, const char* what, F&& f) {
  switch (indices.dtype()) {
    case DType::i64:
      return f(static_cast<const std::int64_t*>(indices.data<std::int64_t>()));
    case DType::i32:
      return f(static_cast<const std::int32_t*>(indices.data<std::int32_t>()));
    case DType::u8:
      return f(static_cast<const std::uint8_t*>(indices.data<std::uint8_t>()));
    default:
      fail("{}: {} of {} given, i64, i32 or u8 expected", op, what, describe(indices));
  }
}

}  // namespace trireme::ops
