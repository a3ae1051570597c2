// Where a process stands among the ranks that a launcher started: read from the environment alone, no system calls.
// Which launchers are understood, and which wins when several have left their names, is docs/launching.md.
#pragma once

#include <string>
#include <vector>

#include "trireme/comm/environment/variables.h"

namespace trireme::comm {

struct Place {
  std::string launcher;  // whose variables tell: "torchrun", "Open MPI", "Slurm", ...; empty: nobody's, a lone process
  int rank = 0;
  int size = 1;
  // Among the ranks of this host, as the launcher counts hosts; -1 and 0 where it does not tell.
  int local_rank = -1;
  int local_size = 0;
  // Of the launcher's hosts; -1 and 0 where it does not tell.
  int node = -1;
  int nodes = 0;
  std::vector<std::string> hosts = {};  // the launcher's names of them, in the order of their numbers, if it tells

  // Where rank 0 can be met: MASTER_ADDR and MASTER_PORT as far as they are set.
  std::string master_address = {};
  int master_port = 0;
  bool master_port_taken = false;  // the launcher itself listens there
  // The same on all ranks of this start of this job and on no others, to tell jobs apart; empty if nothing does.
  std::string job = {};
  // Known to the ranks alone; empty if the launcher gave none.
  std::string secret = {};
  bool speaks_mpi = false;   // Open MPI's library finds its peers in this environment
  std::string warning = {};  // for the person, if the environment says something surprising

  bool on_one_host() const { return local_size == size; }
};

// Raises Error if a launcher's variables are set in part (naming those that are missing) or contradict each other: a
// guess would train several models side by side.
Place detect_place(const Variables& variables);

// MASTER_PORT, else 0.
int read_master_port(const Variables& variables);

constexpr int kMaxWorldSize = 1 << 20;

}  // namespace trireme::comm
