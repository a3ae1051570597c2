#include "trireme/core/base/bytes_text.h"

#include <fmt/format.h>

#include <cstddef>
#include <iterator>

namespace trireme {

std::string bytes_text(std::int64_t bytes) {
  if (bytes < 0) {
    return "none";
  }
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace trireme
