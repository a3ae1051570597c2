// The sizes in which the arena hands out small blocks.
#pragma once

#include <bit>
#include <cstddef>

namespace trireme {

inline constexpr std::size_t kSmallLimit = 32 << 10;  // larger blocks are mappings of their own
inline constexpr std::size_t kFineLimit = 1 << 10;    // up to here classes are multiples of 64
inline constexpr int kClasses = 16 + 5 * 8;           // 64..1024 by 64, then eight steps an octave up to 32 KiB

// The smallest class whose blocks hold `bytes`, which are at most kSmallLimit.
constexpr int class_of(std::size_t bytes) {
  if (bytes <= kFineLimit) {
    return static_cast<int>((bytes - (bytes != 0)) / 64);
  }
  const auto octave = static_cast<int>(std::bit_width(bytes - 1)) - 11;  // 1025..2048 -> 0
  const std::size_t step = std::size_t{128} << octave;
  const std::size_t base = std::size_t{1024} << octave;
  return 16 + octave * 8 + static_cast<int>((bytes - base + step - 1) / step) - 1;
}

constexpr std::size_t bytes_of(int size_class) {
  if (size_class < 16) {
    return static_cast<std::size_t>(size_class + 1) * 64;
  }
  const int octave = (size_class - 16) / 8;
  return (std::size_t{1024} << octave) +
         static_cast<std::size_t>((size_class - 16) % 8 + 1) * (std::size_t{128} << octave);
}

}  // namespace trireme
