// One element's conversion between any two dtypes.
#pragma once

#include <limits>
#include <type_traits>

#include "trireme/core/base/half.h"

namespace trireme {

template <class T>
inline constexpr bool is_half = std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>;

// To the nearest value (ties to even); floating to integer truncates, saturates, and makes NaN 0, so that no value is
// undefined behaviour. Halves go through f32.
template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (is_half<From>) {
    return convert<To>(static_cast<float>(value));
  } else if constexpr (is_half<To>) {
    return To(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, bool>) {
    return value != From{0};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    constexpr auto low = static_cast<From>(std::numeric_limits<To>::min());
    constexpr auto high = static_cast<From>(std::numeric_limits<To>::max());  // may round up to max + 1
    if (value >= high) {
      return std::numeric_limits<To>::max();
    }
    return value >= low ? static_cast<To>(value) : (value < low ? std::numeric_limits<To>::min() : To{0});
  } else {
    return static_cast<To>(value);
  }
}

}  // namespace trireme
