// How a rank ends: MPI_Finalize waits for all ranks without a limit, so ranks meet first, each with its exit code in
// mind. Peers of a rank that failed learn of it by their communicators and end by themselves; only those that do not
// are ended by MPI_Abort.
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "trireme/comm/mpi/job-inl.h"
#include "trireme/comm/mpi/patience-inl.h"
#include "trireme/core/base/log.h"

namespace trireme::comm {
namespace {

std::string host_name() {
  char name[256] = {};
  return gethostname(name, sizeof name - 1) == 0 ? name : "an unknown host";
}

// How long a rank that exits with `status` waits for the others; nothing: for good.
std::optional<std::chrono::milliseconds> patience_of(int status, std::chrono::milliseconds timeout) {
  if (status == 0) {  // the others may have work left, and if one dies, mpirun ends all
    return std::nullopt;
  }
  // 75 (saved, wants to be started again): they may still save. Else the job has failed, and time is for last words.
  constexpr std::chrono::milliseconds kLastWords{5000};
  return status == EX_TEMPFAIL ? timeout : std::min(timeout, kLastWords);
}

}  // namespace

void MpiJob::at_exit(int status, void* job) {
  auto& self = *static_cast<MpiJob*>(job);
  if (getpid() != self.pid_) {
    return;
  }
  self.exit_status_ = status;
  if (self.links_ == 0) {
    self.finish(status);
  } else {
    // A global one ends after this handler, and then so does MPI. One on the stack of a thread that called exit() never
    // does, and mpirun would only say "improperly".
    log::debug("backend mpi: rank {} exits while a communicator lives; MPI ends with it", self.rank_);
  }
}

void MpiJob::link_ends() {
  if (--links_ == 0 && exit_status_ >= 0) {
    finish(exit_status_);
  }
}

void MpiJob::finish(int status) {
  int finalized = 0;
  mpi_.finalized(&finalized);
  if (finalized != 0) {
    return;
  }
  std::fflush(nullptr);  // mpirun ends its other processes as soon as one has exited with an error
  MPI_Request request = mpi_.no_request;
  int done = 0;
  const auto patience = patience_of(status, timeout_);
  if (mpi_.start_barrier(comm_, &request) == MPI_SUCCESS) {
    const Deadline deadline = patience ? std::chrono::steady_clock::now() + *patience : Deadline::max();
    poll_until(deadline, [&] { return mpi_.test(&request, &done, MPI_STATUS_IGNORE) != MPI_SUCCESS || done != 0; });
  }
  if (done == 0) {
    end_job(fmt::format("it exits with code {} and the other ranks have not ended within {} ms", status,
                        patience.value_or(timeout_).count()),
            status == 0 ? 1 : status);
    return;
  }
  mpi_.finalize();
}

void MpiJob::end_job(const std::string& reason, int exit_code) const {
  log::error("backend mpi: rank {} (pid {}) on {} ends the job by MPI_Abort: {}", rank_, pid_, host_name(), reason);
  std::fflush(nullptr);
  mpi_.abort(comm_, exit_code);  // does not return
}

}  // namespace trireme::comm
