// From the environment that a launcher left to a World.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "trireme/comm/communicator.h"

namespace trireme::comm {

struct EnvironmentOptions {
  std::string backend = "auto";              // auto | local | shm (| gloo | mpi | nccl where built)
  std::chrono::milliseconds timeout{60000};  // deadline of every collective
};

// Reads RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT (torchrun's names, set by
// `trireme run` too). None of them set: a world of one. Some of them set: Error naming the missing one.
// TRIREME_JOB_TOKEN guards the meeting point; TRIREME_MAX_WORLD_SIZE is the default number of lanes (else WORLD_SIZE).
// Blocks until all ranks have arrived, at most options.timeout.
World from_environment(const EnvironmentOptions& options = {});

// Runs `body` on `ranks` threads of this process, each with its own World over the local backend; rethrows the first
// exception (in time) after all ended; an exception on one rank aborts the others. Thread r gets rank r.
void run_local(int ranks, const std::function<void(World)>& body, const EnvironmentOptions& options = {});

}  // namespace trireme::comm
