// `trireme run`: starts, watches, restarts, explains.
#pragma once

#include <string>
#include <vector>

namespace trireme::launcher {

// `arguments` is what follows "trireme run". Blocks until the job is over; returns the process's exit code. Raises
// Error for wrong usage and for a program that cannot be started. REQUIRES: a single-threaded process.
int run_job(const std::vector<std::string>& arguments);

}  // namespace trireme::launcher
