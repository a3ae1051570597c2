// The subcommands of `trireme`, found by name.
#pragma once

#include <string>
#include <vector>

namespace trireme::launcher {

// `arguments` without the program's name. Returns the exit code; raises Error (usage) for an unknown subcommand.
int run_command(const std::vector<std::string>& arguments);

}  // namespace trireme::launcher
