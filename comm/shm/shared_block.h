// One block of memory that all ranks of a communicator map: a memory file of its own, so that it lives exactly as long
// as some rank holds it, and a page of it exists from the first touch on, counted for the process that touches it.
#pragma once

#include "trireme/comm/communicator.h"

namespace trireme::comm::shm {

// Collective over `ranks`, which are processes of one host and of one user: rank 0 makes the file, the others open it.
// Zeros. Raises Error on every rank if one cannot have it.
Array allocate_shared_block(Communicator& ranks, const Shape& shape, DType dtype);

}  // namespace trireme::comm::shm
