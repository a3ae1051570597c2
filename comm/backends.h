// Which backend carries a job, and the communicator over it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "trireme/comm/communicator.h"
#include "trireme/comm/environment/host_table.h"
#include "trireme/comm/environment/place.h"

namespace trireme::comm {

struct BackendOptions {
  std::string backend = "auto";
  std::chrono::milliseconds timeout{60000};  // of connecting, and of every collective
  std::string interface = {};                // whose address is given to other hosts; empty: the system chooses
  std::string token = {};                    // TRIREME_JOB_TOKEN
  std::string host_name = {};                // TRIREME_HOST_NAME
};

struct BackendChoice {
  std::string backend;  // "shm", "gloo", "mpi" or "hierarchical"
  std::string network;  // "gloo" or "mpi": itself, or what hierarchical uses between hosts; empty for shm
  bool operator==(const BackendChoice&) const = default;
};

// Pure: the same on every rank, as the table is. auto: shm on one host; over several, hierarchical if a host has more
// than one rank, else the network itself. The network is MPI where all ranks have it (their launcher speaks it, too),
// else Gloo. Raises Error if what is asked for cannot be.
BackendChoice choose_backend(std::string_view asked, const HostTable& hosts);

// Raises a usage Error unless `name` is auto, local, shm, gloo, mpi or hierarchical.
void check_backend_name(std::string_view name);

// Blocks until all ranks of `place` are here. A world of one under auto and local needs nobody. Raises Error.
std::shared_ptr<Communicator> connect_backend(const Place& place, const BackendOptions& options);

}  // namespace trireme::comm
