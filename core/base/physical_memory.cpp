#include "trireme/core/base/physical_memory.h"

#include <unistd.h>

namespace trireme {

std::int64_t physical_memory() {
  const std::int64_t pages = sysconf(_SC_PHYS_PAGES);
  return pages > 0 ? pages * sysconf(_SC_PAGESIZE) : 0;
}

bool fits_in_memory(std::size_t bytes) {
  static const auto most = static_cast<std::size_t>(physical_memory());
  return most == 0 || bytes <= most;
}

}  // namespace trireme
