#include "trireme/core/base/host.h"

#include <unistd.h>

#include <array>

namespace trireme {

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string("unknown host");
}

}  // namespace trireme
