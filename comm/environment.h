// From the environment that a launcher left to a World.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "trireme/comm/communicator.h"
#include "trireme/comm/environment/role.h"

namespace trireme::comm {

struct EnvironmentOptions {
  std::string backend = "auto";              // auto | local | shm | gloo | mpi | hierarchical
  std::chrono::milliseconds timeout{60000};  // deadline of the start, and of every collective
  std::string interface = {};                // the network interface that other hosts reach; empty: the system chooses
  int servers = 0;                           // parameter servers among the launched processes; none of them is a rank
};

// The world of the ranks that a launcher started: `trireme run` or torchrun, mpirun, srun, mpiexec; without any of them
// a world of one. docs/launching.md says which variables are read and which launcher wins. Variables set in part are an
// Error naming the missing ones. TRIREME_JOB_TOKEN guards the meeting point; TRIREME_MAX_WORLD_SIZE is the default
// number of lanes (else the number of ranks); TRIREME_HOST_NAME replaces this host's name.
// Blocks until all ranks have arrived, at most options.timeout for each of the few stages of the start.
World from_environment(const EnvironmentOptions& options = {});

// What the environment alone tells, without meeting anyone: rank 0 of 1 for a lone process. Raises Error where
// from_environment() does.
struct LaunchedRank {
  int rank = 0;
  int size = 1;
};
LaunchedRank launched_rank();
// Worker or parameter server, of a program that was given so many --servers (0: none given). detect_role() of
// comm/environment/role.h.
ProcessRole launched_role(int servers);

// Runs `body` on `ranks` threads of this process, each with its own World over the local backend; rethrows the first
// exception (in time) after all ended; an exception on one rank aborts the others. Thread r gets rank r.
void run_local(int ranks, const std::function<void(World)>& body, const EnvironmentOptions& options = {});

}  // namespace trireme::comm
