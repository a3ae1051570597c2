// `trireme doctor`: what this machine and this build can do, and what to change. Under a launcher with several ranks it
// also compares the ranks: builds, instruction sets, clocks.
#pragma once

#include <string>
#include <vector>

namespace trireme::launcher {

// Prints its findings; returns 0, or 1 if something must change before training can work here. Raises Error (usage).
int run_doctor(const std::vector<std::string>& arguments);

}  // namespace trireme::launcher
