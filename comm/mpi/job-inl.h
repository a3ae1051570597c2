// MPI in this process: there is one, from the first connection to the end of the process. Knows the ranks that mpirun
// started, which of their processes are on this host, and how a rank ends. Part of the sources of comm/mpi.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "trireme/comm/mpi/library-inl.h"
#include "trireme/comm/mpi/mpi.h"

namespace trireme::comm {

class MpiJob {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  struct Process {
    int pid = 0;
    int pidfd = -1;  // readable once it has ended; -1 for this process and those of other hosts
  };

  // Initialises MPI on the first call, which waits for all ranks as MPI_Init does.
  static MpiJob& join(const MpiOptions& options);
  MpiJob(const MpiJob&) = delete;
  MpiJob& operator=(const MpiJob&) = delete;

  const Mpi& mpi() const { return mpi_; }
  int rank() const { return rank_; }
  int size() const { return size_; }
  const std::vector<Process>& processes() const { return processes_; }  // [rank of the job]
  // Whether the rank's process has ended; of other hosts nobody knows. One system call.
  bool is_dead(int rank);
  // The same as found before, without one.
  bool is_known_dead(int rank) const { return dead_[static_cast<std::size_t>(rank)]; }

  // A fresh communicator over all ranks. Collective; raises Error naming the ranks that did not come in time.
  MPI_Comm connect(std::chrono::milliseconds timeout);

  // Links report themselves: MPI is finalised after the last of them.
  void link_begins() { ++links_; }
  void link_ends();

  // Ends the job at once: a message that names this rank and its host, then MPI_Abort. For what cannot be mended.
  void end_job(const std::string& reason, int exit_code) const;

 private:
  explicit MpiJob(const MpiOptions& options);
  bool initialise();
  void look_around();
  void check(int code, const char* call) const;
  static void at_exit(int status, void* job);
  void finish(int status);

  const Mpi& mpi_;
  const std::chrono::milliseconds timeout_;
  MPI_Comm comm_;  // ours alone: arrivals and the end
  int rank_ = 0;
  int size_ = 1;
  int meetings_ = 0;
  int pid_ = 0;  // of the process that initialised MPI; children of a fork have nothing to finalise
  std::vector<Process> processes_;
  std::unique_ptr<std::atomic<bool>[]> dead_;  // [rank]
  std::atomic<int> links_{0};
  std::atomic<int> exit_status_{-1};  // once exit() was called
};

}  // namespace trireme::comm
