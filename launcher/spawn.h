// Starting one process that cannot outlive the launcher.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "trireme/launcher/fd.h"

namespace trireme::launcher {

struct SpawnRequest {
  std::string executable;                // a path
  std::vector<std::string> arguments;    // argv, the program's name first
  std::vector<std::string> environment;  // "NAME=value"
  int stdin_fd = 0;                      // become 0, 1 and 2; each is that number itself, or above 2
  int stdout_fd = 1;
  int stderr_fd = 2;
  int inherited_fd = -1;  // stays open under its number
};

struct Child {
  pid_t pid = -1;
  Fd pidfd;  // readable once the process has ended
};

// The process leads its own process group (so that the terminal's Ctrl-C reaches only the launcher, and a signal can
// reach its children too), has default signal handling, and gets SIGKILL the moment the calling thread dies, even if
// that happens before this is arranged. Raises Error (kind usage where the program is at fault) if it cannot start.
// REQUIRES: a single-threaded caller.
Child spawn(const SpawnRequest& request);

}  // namespace trireme::launcher
