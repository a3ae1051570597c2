// Small facts about this machine that starting a job needs.
#pragma once

#include <string>

namespace trireme::launcher {

// Cores that this process may use (its affinity mask), at least 1.
int usable_cores();
// A TCP port of the loopback interface that nobody uses at this moment. The launcher does not keep it: rank 0 of
// whatever program is started listens there. Raises Error.
int free_loopback_port();
// 32 hex digits from the kernel's random generator. Raises Error.
std::string random_token();

}  // namespace trireme::launcher
