#include "trireme/core/base/half.h"

#include <cmath>

namespace trireme {

Float16::Float16(float value) {
  const auto word = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((word >> 16) & 0x8000u);
  const std::uint32_t magnitude = word & 0x7fffffffu;
  if (magnitude > 0x7f800000u) {  // NaN: keep it a quiet NaN
    bits = sign | 0x7e00u;
    return;
  }
  if (magnitude >= 0x477ff000u) {  // rounds to 65536 or more: infinity
    bits = sign | 0x7c00u;
    return;
  }
  if (magnitude < 0x38800000u) {
    // Subnormal in f16: adding 0.5 puts the wanted bits, correctly rounded, at the bottom of the f32 significand.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    bits = sign | static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u);
    return;
  }
  const std::uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  bits = sign | static_cast<std::uint16_t>((rounded - 0x38000000u) >> 13);
}

Float16::operator float() const {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t fraction = bits & 0x3ffu;
  if (exponent == 0x1fu) {
    return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  }
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (fraction << 13));
}

}  // namespace trireme
