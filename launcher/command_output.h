// What a short command prints.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace trireme::launcher {

// The first line that `command` (a name in PATH, and its arguments) prints on stdout; empty if it cannot be started, or
// prints nothing before the deadline, when it is killed. Never raises.
std::string first_line_of(const std::vector<std::string>& command, std::chrono::milliseconds deadline);

}  // namespace trireme::launcher
