// Whether a process is a worker or a parameter server, from its environment alone.
#pragma once

#include "trireme/comm/environment/variables.h"

namespace trireme::comm {

struct ProcessRole {
  bool server = false;
  int index = 0;  // from 0 within the role
  int workers = 1;
  int servers = 0;
};

// `trireme run --servers S` says it by names (TRIREME_WORKERS, TRIREME_SERVERS, and of a server ROLE_RANK instead of
// RANK). Under every other launcher `servers`, which the program was given, makes the last ranks servers: so workers
// keep their ranks, and a worker is what it would be without servers. `servers` 0: not given. Raises Error (usage) if
// both speak and disagree, or no process is left to be a worker.
ProcessRole detect_role(const Variables& variables, int servers);

}  // namespace trireme::comm
