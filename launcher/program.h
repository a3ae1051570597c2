// Which file a program's name means, and how it is started.
#pragma once

#include <string>
#include <vector>

namespace trireme::launcher {

struct Program {
  std::string executable;              // a path
  std::vector<std::string> arguments;  // argv, the program's name first
};

// `command` is what stands behind "--". A name without '/' is looked up in PATH, then beside the trireme command
// itself, so `trireme run -- train_gpt` works in a fresh build. A .py file that is not executable, and a module
// (`as_module`), run under python3 as torchrun would run them. Raises Error (usage) saying where it looked.
Program find_program(const std::vector<std::string>& command, bool as_module);

}  // namespace trireme::launcher
