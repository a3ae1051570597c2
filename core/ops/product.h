// Which matrix product two arrays make, and how they become its operands. Internal to core/ops; the products are
// gemm.h's.
#pragma once

#include <string_view>

#include "trireme/core/array/array.h"
#include "trireme/core/ops/gemm.h"

namespace trireme::ops {

// True if the product of arrays of these dtypes exists: f32 by f32, f64 by f64, and bf16 by bf16 or f32.
constexpr bool has_product(DType a, DType b) {
  const auto narrow = [](DType dtype) { return dtype == DType::bf16 || dtype == DType::f32; };
  return (a == DType::f64 && b == DType::f64) || (narrow(a) && narrow(b));
}

// The kind of the product forward: f32, f64, or bf16 if one operand is bf16. Backward makes products of the same kind,
// whatever the dtypes of its operands; gradient_dtype(kind) is the dtype of their results.
constexpr DType product_kind(DType a, DType b) { return b == DType::bf16 ? b : a; }

// Calls f(T{}) with the T of GemmArgs for products of this kind. `op` names the caller in the error.
template <class F>
decltype(auto) dispatch_product(DType kind, std::string_view op, F&& f) {
  return kind == DType::bf16 ? f(BFloat16{}) : dispatch_real(kind, op, f);
}

template <class T>
using ProductResult = typename ProductTypes<T>::Result;

// The array's elements from `offset` on as an operand.
template <class T>
typename ProductTypes<T>::Operand operand(const Array& x, std::int64_t offset = 0) {
  return x.data<T>() + offset;
}
template <>
inline Bf16Operand operand<BFloat16>(const Array& x, std::int64_t offset) {
  return x.dtype() == DType::bf16 ? Bf16Operand(x.data<BFloat16>() + offset) : Bf16Operand(x.data<float>() + offset);
}

}  // namespace trireme::ops
