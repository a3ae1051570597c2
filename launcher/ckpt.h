// `trireme ckpt`: looks at checkpoints without the program that wrote them.
#pragma once

#include <string>
#include <vector>

namespace trireme::launcher {

// Runs `trireme ckpt ARGUMENTS...` and returns the exit code: 0, or 1 if a checkpoint is damaged. Prints its result on
// stdout. Raises Error (usage) for words that it does not know.
int run_ckpt(const std::vector<std::string>& arguments);

}  // namespace trireme::launcher
