// Runs a body on several ranks: as threads over the local backend, or as forked processes over any other.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::test {

using RankBody = std::function<void(comm::Communicator&)>;

struct RankOptions {
  std::chrono::milliseconds timeout{20000};  // of every collective
  int killed_rank = -1;                      // this rank is expected to end by SIGKILL (processes only)
  int stopped_rank = -1;                     // this rank stops itself, and is killed when the others have ended
};

// Each returns when all ranks have ended. Failed expectations and exceptions of any rank become failures of the test.
void run_threads(int size, const RankBody& body, const RankOptions& options = {});
// How a process becomes a rank; it meets the others in `directory`.
using Connect = std::function<std::shared_ptr<comm::Communicator>(int rank, int size, const std::string& directory,
                                                                  std::chrono::milliseconds timeout)>;
// Forks, so no other thread may be running. Ranks that have not ended after a minute are killed, and fail the test.
void run_processes_over(const Connect& connect, int size, const RankBody& body, const RankOptions& options);
// Over shared memory.
void run_processes(int size, const RankBody& body, const RankOptions& options = {});
void run_gloo(int size, const RankBody& body, const RankOptions& options = {});

// Hierarchical communicators over one backend on both levels. Hosts of neighbouring ranks, of uneven numbers of
// neighbouring ranks, and of every second or third rank.
void run_uneven_hosts(int size, const RankBody& body, const RankOptions& options = {});        // threads
void run_cyclic_hosts(int size, const RankBody& body, const RankOptions& options = {});        // threads
void run_hosts_of_processes(int size, const RankBody& body, const RankOptions& options = {});  // as run_processes
// Hosts of neighbouring ranks, shared memory inside and Gloo across. $TRIREME_TEST_HOSTS makes them network namespaces.
void run_shm_and_gloo(int size, const RankBody& body, const RankOptions& options = {});

// The hosts' ranks, for so many ranks.
std::vector<std::vector<int>> block_hosts(int size, int count = 2);
std::vector<std::vector<int>> uneven_hosts(int size);
std::vector<std::vector<int>> cyclic_hosts(int size);
// The ranks of `whole` grouped in hosts, each of which is a split of it.
std::shared_ptr<comm::Communicator> join_hosts(const std::vector<std::vector<int>>& hosts,
                                               const std::shared_ptr<comm::Communicator>& whole);
// How many ranks mpirun has started, of which this process is one; 0: none.
int size_given_by_mpirun();
// What all ranks have printed, where each has captured its own: under mpirun. Elsewhere the capture has all of it.
std::string joined_over_ranks(const std::string& captured);
// This process is one of the ranks, all of which run the same tests.
// REQUIRES: size_given_by_mpirun() == size.
void run_mpi(int size, const RankBody& body, const RankOptions& options = {});

struct Backend {
  const char* name;
  void (*run)(int size, const RankBody& body, const RankOptions& options);
};

}  // namespace trireme::test
