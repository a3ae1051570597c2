// The ranks that `mpirun` started, over Open MPI 4 or later (Debian: openmpi-bin). libmpi is loaded when it is asked
// for: a program starts, and uses other backends, on a machine without it.
//
// MPI lives as long as the process: the first connection initialises it unless the program has, and the end of the
// process (return from main, exit()) finalises it if we initialised it. Ranks end together. One that exits with 0 waits
// for the others; one that exits with an error waits at most 5 s (75, which asks for a new start: `timeout`) and then
// ends the whole job by MPI_Abort, with a message. Under mpirun a rank that is killed ends the job: recovery is a new
// start from the newest checkpoint.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "trireme/comm/communicator.h"

namespace trireme::comm {

struct MpiOptions {
  std::chrono::milliseconds timeout{60000};  // of connecting, and the default of every collective
  int expected_size = 0;     // what the launcher says; another answer of MPI is an Error. 0: whatever MPI says
  std::string library = {};  // the file to load instead of libmpi.so.40
};

// Collective over all ranks of the job; may be called again for a fresh communicator. Rank and size are MPI's own;
// without mpirun that is a world of one. Needs MPI_THREAD_MULTIPLE. Raises Error where libmpi is missing or unfit (the
// message names the package) and where ranks do not arrive in time (it names them).
std::shared_ptr<Communicator> connect_mpi(const MpiOptions& options = {});

// Whether this build has it. libmpi may still be missing where the program runs.
bool has_mpi();
// Whether it has it, and libmpi can be loaded, which it then is.
bool can_load_mpi();

}  // namespace trireme::comm
