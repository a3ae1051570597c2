// The one exception type of the library, and the check that raises it.
#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace trireme {

// What a program should do about an error; the process exit code follows from it.
enum class ErrorKind {
  failure,  // something went wrong at run time: exit code 1
  usage,    // the caller asked for something that cannot be: exit code 2
};

// Every error that Trireme raises is an Error (a broken communicator raises its subtype comm::CommError).
// A message says: operation, what was given, what was expected, the rank if there is one, and what to do.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, ErrorKind kind = ErrorKind::failure)
      : std::runtime_error(message), kind_(kind) {}

  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

// Raises Error(formatted message) from a place that is not inlined into the caller's hot path.
[[noreturn]] void throw_error(ErrorKind kind, std::string message);

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw_error(ErrorKind::failure, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw_error(ErrorKind::usage, fmt::format(format, std::forward<Args>(args)...));
}

// Raises Error unless `ok`. The message is only formatted on failure; arguments are evaluated always, so pass
// values and references, not work.
template <class... Args>
void require(bool ok, fmt::format_string<Args...> format, Args&&... args) {
  if (!ok) [[unlikely]] {
    fail(format, std::forward<Args>(args)...);
  }
}

template <class... Args>
void require_usage(bool ok, fmt::format_string<Args...> format, Args&&... args) {
  if (!ok) [[unlikely]] {
    fail_usage(format, std::forward<Args>(args)...);
  }
}

// " (errno 28: No space left on device)" for the calling thread's errno, to end a message about a failed call.
std::string errno_text(int error_number);

}  // namespace trireme
