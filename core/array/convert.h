// One element's conversion between any two dtypes.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "trireme/core/base/half.h"

namespace trireme {

template <class T>
inline constexpr bool is_half = std::is_same_v<T, BFloat16> || std::is_same_v<T, Float16>;

// Toward zero, then odd if that was not exact: rounding the result to a half gives what rounding `value` itself would.
// (Rounding to the nearest twice would not: the first may make a tie of what was none.)
inline float round_to_odd(double value) {
  const auto nearest = static_cast<float>(value);
  if (static_cast<double>(nearest) == value || std::isnan(value)) {
    return nearest;
  }
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  bits -= std::abs(static_cast<double>(nearest)) > std::abs(value) ? 1u : 0u;
  return std::bit_cast<float>(bits | 1u);
}

// To the nearest value (ties to even); floating to integer truncates, saturates, and makes NaN 0, so that no value is
// undefined behaviour. Halves go through f32, without rounding twice.
template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (is_half<From>) {
    return convert<To>(static_cast<float>(value));
  } else if constexpr (is_half<To> && std::is_same_v<From, double>) {
    return To(round_to_odd(value));
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
