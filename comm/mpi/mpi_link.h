// The Link under connect_mpi(): messages of bytes as MPI moves them.
#pragma once

#include <memory>

#include "trireme/comm/message/link.h"
#include "trireme/comm/mpi/mpi.h"

namespace trireme::comm {

// Collective; as connect_mpi(). Letters are read within a millisecond, sooner after others. The death of a peer's
// process is seen within some milliseconds if it is on this host; on other hosts mpirun sees it, and ends the job.
std::unique_ptr<Link> connect_mpi_link(const MpiOptions& options = {});

}  // namespace trireme::comm
