#include "trireme/core/base/error.h"

#include <system_error>

namespace trireme {

void throw_error(ErrorKind kind, std::string message) { throw Error(message, kind); }

std::string errno_text(int error_number) {
  return fmt::format(" (errno {}: {})", error_number, std::generic_category().message(error_number));
}

}  // namespace trireme
