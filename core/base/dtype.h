// Element types: their sizes, names and the mapping from C++ types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "trireme/core/base/error.h"
#include "trireme/core/base/half.h"

namespace trireme {

enum class DType : std::uint8_t { f32, f64, bf16, f16, i64, i32, u8, boolean };

std::size_t size_of(DType dtype);
// "f32", "f64", "bf16", "f16", "i64", "i32", "u8", "bool".
std::string_view name_of(DType dtype);
// The inverse of name_of; raises Error naming the valid names.
DType dtype_from_name(std::string_view name);
bool is_floating(DType dtype);

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<Float16> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};

template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

// Calls f(T{}) with T = float or double; the arithmetic types of the kernels. `op` names the caller in the error.
template <class F>
decltype(auto) dispatch_real(DType dtype, std::string_view op, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    default:
      fail("{}: dtype {} given, f32 or f64 expected; convert with Array::to(DType::f32)", op, name_of(dtype));
  }
}

// Calls f(T{}) with the C++ type of any dtype.
template <class F>
decltype(auto) dispatch_all(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::bf16:
      return f(BFloat16{});
    case DType::f16:
      return f(Float16{});
    case DType::i64:
      return f(std::int64_t{});
    case DType::i32:
      return f(std::int32_t{});
    case DType::u8:
      return f(std::uint8_t{});
    case DType::boolean:
      return f(bool{});
  }
  fail("dispatch_all: unknown dtype {}", static_cast<int>(dtype));
}

}  // namespace trireme
