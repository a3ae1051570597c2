// What an Error says, for tests of messages.
#pragma once

#include <string>

#include "trireme/core/base/error.h"

namespace trireme::test {

// The message of the Error that f raises; "no error" if it raises none.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace trireme::test
