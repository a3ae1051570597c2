// libmpi as a table of what is used of it, resolved at run time. mpi.h gives the types; its constants such as MPI_BYTE
// are addresses inside the library, so they are resolved too. Part of the sources of comm/mpi.
#pragma once

#define OMPI_SKIP_MPICXX 1
#include <mpi.h>

#include <string>

namespace trireme::comm {

struct Mpi {
  decltype(&MPI_Abort) abort;
  decltype(&MPI_Allgather) all_gather;
  decltype(&MPI_Cancel) cancel;
  decltype(&MPI_Comm_create_group) comm_create_group;
  decltype(&MPI_Comm_dup) comm_dup;
  decltype(&MPI_Comm_get_attr) comm_get_attr;
  decltype(&MPI_Comm_group) comm_group;
  decltype(&MPI_Comm_rank) comm_rank;
  decltype(&MPI_Comm_set_errhandler) comm_set_errhandler;
  decltype(&MPI_Comm_size) comm_size;
  decltype(&MPI_Error_string) error_string;
  decltype(&MPI_Finalize) finalize;
  decltype(&MPI_Finalized) finalized;
  decltype(&MPI_Group_free) group_free;
  decltype(&MPI_Group_incl) group_incl;
  decltype(&MPI_Get_count) get_count;
  decltype(&MPI_Iallreduce) start_all_reduce;
  decltype(&MPI_Ibarrier) start_barrier;
  decltype(&MPI_Init_thread) init_thread;
  decltype(&MPI_Initialized) initialized;
  decltype(&MPI_Irecv) start_receive;
  decltype(&MPI_Isend) start_send;
  decltype(&MPI_Query_thread) query_thread;
  decltype(&MPI_Request_free) request_free;
  decltype(&MPI_Test) test;

  MPI_Comm world;
  MPI_Comm no_comm;
  MPI_Request no_request;
  MPI_Errhandler errors_return;
  MPI_Datatype byte, float32, float64, int32, int64, uint8;
  MPI_Op sum, product, min, max;
};

// Loads the library on the first call; later calls return the same table. `file` empty: the usual names. Raises Error
// naming the Debian package where it cannot be loaded, and what is missing where it is not Open MPI.
const Mpi& load_mpi(const std::string& file);

// "MPI_ERR_TRUNCATE: message truncated".
std::string error_text(const Mpi& mpi, int code);

}  // namespace trireme::comm
