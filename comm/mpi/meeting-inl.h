// All ranks of a group come together, or learn who did not: before calls of MPI that would wait without a limit. Part
// of the sources of comm/mpi.
#pragma once

#include <chrono>
#include <vector>

#include "trireme/comm/mpi/library-inl.h"

namespace trireme::comm {

// Called by all `members` (ranks of `comm`, `rank` among them) with a tag that no other meeting there has. Blocks until
// all have come or the deadline has passed; then returns those that did not come, in the order of `members`. The first
// member decides: if it is missing itself, the others know of nobody else. Raises Error when MPI refuses.
std::vector<int> meet(const Mpi& mpi, MPI_Comm comm, const std::vector<int>& members, int rank, int tag,
                      std::chrono::steady_clock::time_point deadline);

}  // namespace trireme::comm
