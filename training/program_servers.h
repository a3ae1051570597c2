// Programs whose variables live on parameter servers: who becomes a worker, who a server. For program.cpp.
#pragma once

#include <functional>

#include "trireme/training/program.h"

namespace trireme::training {

using ProgramBody = std::function<int(Session&)>;

// Workers and servers as threads of this process (--backend local). Returns worker 0's exit code. What a server
// complains of is raised once the workers have ended, if they have no complaint of their own.
int run_threads_with_servers(const ProgramOptions& options, const ProgramBody& body,
                             const cluster::WorkerStatus& status);

// This process as the one worker or server that its launcher meant (comm/environment/role.h). Returns its exit code.
int run_process_with_servers(const ProgramOptions& options, const ProgramBody& body,
                             const cluster::WorkerStatus& status);

}  // namespace trireme::training
