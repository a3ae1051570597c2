// Whether a process is a worker or a parameter server, from its environment alone.
#pragma once

#include "trireme/comm/environment/place.h"
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

// Of a worker: its place among the workers alone. Of a server: that of a process beside them, which tells where worker
// 0 can be met. Raises Error as detect_place() does.
Place place_in_role(const Variables& variables, const ProcessRole& role);

// "worker 2", "server 0".
std::string name_of(const ProcessRole& role);

}  // namespace trireme::comm
