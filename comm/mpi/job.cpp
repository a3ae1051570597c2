#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <mutex>
#include <numeric>

#include "trireme/comm/mpi/job-inl.h"
#include "trireme/comm/mpi/meeting-inl.h"
#include "trireme/comm/operation_text.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"

namespace trireme::comm {
namespace {

constexpr int kHighestTag = 1 << 22;  // more than links use

// Between processes of a host Open MPI sends up to 4 KB at once; what is longer is announced, fetched and acknowledged.
// At once is faster up to the longest opening of a collective. A setting of the user's goes before this.
constexpr const char* kEagerLimit = "OMPI_MCA_btl_vader_eager_limit";

// The same for processes that can see each other's pids, and for no others.
std::uint64_t host_key() {
  std::ifstream boot("/proc/sys/kernel/random/boot_id");
  const std::string text{std::istreambuf_iterator<char>(boot), {}};
  char names[256] = {};
  const ssize_t length = readlink("/proc/self/ns/pid", names, sizeof names);
  Xxh3 hash;
  hash.update(text);
  hash.update(std::string_view(names, static_cast<std::size_t>(std::max<ssize_t>(length, 0))));
  return hash.digest();
}

}  // namespace

MpiJob& MpiJob::join(const MpiOptions& options) {
  static std::mutex mutex;
  static MpiJob* job = nullptr;  // never deleted: the handler of exit() needs it
  const std::lock_guard lock(mutex);
  if (job == nullptr) {
    job = new MpiJob(options);
  }
  int finalized = 0;
  job->mpi_.finalized(&finalized);
  require(finalized == 0, "backend mpi: MPI_Finalize was called already; connect before the end of the program");
  require(
      options.expected_size == 0 || options.expected_size == job->size_,
      "backend mpi: the launcher's environment says {} ranks, and MPI says {}; start with the mpirun of the Open MPI "
      "whose libmpi is loaded",
      options.expected_size, job->size_);
  return *job;
}

MpiJob::MpiJob(const MpiOptions& options)
    : mpi_(load_mpi(options.library)), timeout_(options.timeout), comm_(mpi_.no_comm), pid_(getpid()) {
  const bool ours = initialise();
  check(mpi_.comm_dup(mpi_.world, &comm_), "MPI_Comm_dup");
  check(mpi_.comm_set_errhandler(comm_, mpi_.errors_return), "MPI_Comm_set_errhandler");
  check(mpi_.comm_rank(comm_, &rank_), "MPI_Comm_rank");
  check(mpi_.comm_size(comm_, &size_), "MPI_Comm_size");
  void* value = nullptr;
  int found = 0;
  check(mpi_.comm_get_attr(mpi_.world, MPI_TAG_UB, static_cast<void*>(&value), &found), "MPI_Comm_get_attr");
  const int highest_tag = found != 0 ? *static_cast<int*>(value) : 32767;  // the least that the standard allows
  require(highest_tag >= kHighestTag, "backend mpi: MPI_TAG_UB is {}, at least {} expected; use Open MPI", highest_tag,
          kHighestTag);
  look_around();
  if (ours) {
    on_exit(&MpiJob::at_exit, this);
  }
}

// True if MPI is ours to finalise.
bool MpiJob::initialise() {
  int running = 0;
  int level = MPI_THREAD_SINGLE;
  mpi_.initialized(&running);
  if (running != 0) {
    check(mpi_.query_thread(&level), "MPI_Query_thread");
  } else {
    const bool ours = std::getenv(kEagerLimit) == nullptr && setenv(kEagerLimit, "36864", 0) == 0;
    check(mpi_.init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &level), "MPI_Init_thread");
    if (ours) {  // not for programs that this one starts
      unsetenv(kEagerLimit);
    }
    mpi_.comm_set_errhandler(mpi_.world, mpi_.errors_return);
  }
  require(level == MPI_THREAD_MULTIPLE,
          "backend mpi: MPI gives thread level {}, and communication threads need MPI_THREAD_MULTIPLE ({}); {}", level,
          static_cast<int>(MPI_THREAD_MULTIPLE),
          running != 0 ? "ask for it in the program's MPI_Init_thread" : "use an Open MPI that was built with it");
  return running == 0;
}

// Opens the processes of this host while they are all known to live.
void MpiJob::look_around() {
  struct Entry {
    std::uint64_t host;
    std::int64_t pid;
  };
  static_assert(sizeof(Entry) == 16);
  dead_ = std::make_unique<std::atomic<bool>[]>(static_cast<std::size_t>(size_));
  const Entry own{host_key(), pid_};
  std::vector<Entry> all(static_cast<std::size_t>(size_));
  check(mpi_.all_gather(&own, sizeof own, mpi_.byte, all.data(), sizeof own, mpi_.byte, comm_), "MPI_Allgather");
  for (const Entry& entry : all) {
    Process process{static_cast<int>(entry.pid), -1};
    if (entry.host == own.host && entry.pid != own.pid) {
      process.pidfd = static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0));
    }
    processes_.push_back(process);
  }
}

bool MpiJob::is_dead(int rank) {
  const auto at = static_cast<std::size_t>(rank);
  pollfd ended{processes_[at].pidfd, POLLIN, 0};
  if (!dead_[at] && ended.fd >= 0 && poll(&ended, 1, 0) == 1) {
    dead_[at] = true;
  }
  return dead_[at];
}

void MpiJob::check(int code, const char* call) const {
  if (code != MPI_SUCCESS) {
    fail("backend mpi: {} failed on rank {}: {}", call, rank_, error_text(mpi_, code));
  }
}

MPI_Comm MpiJob::connect(std::chrono::milliseconds timeout) {
  const int tag = ++meetings_ % kHighestTag;  // what a late rank sent to an earlier meeting is not taken for this one
  std::vector<int> all(static_cast<std::size_t>(size_));
  std::iota(all.begin(), all.end(), 0);
  const std::vector<int> missing = meet(mpi_, comm_, all, rank_, tag, std::chrono::steady_clock::now() + timeout);
  if (!missing.empty()) {
    fail("backend mpi: connecting on rank {}: {} of {} ranks did not arrive within {} ms; every rank must connect",
         rank_, describe_ranks(missing), size_, timeout.count());
  }
  MPI_Comm comm = mpi_.no_comm;
  check(mpi_.comm_dup(comm_, &comm), "MPI_Comm_dup");
  return comm;
}

}  // namespace trireme::comm
