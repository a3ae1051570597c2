#include "trireme/comm/shm/fabric.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>

#include "trireme/comm/shm/control.h"
#include "trireme/core/base/error.h"

namespace trireme::comm::shm {
namespace {

// The first bytes of every segment: proves that /proc/PID/fd/N is what the store's entry meant.
struct Proof {
  std::uint64_t magic;
  std::uint64_t nonce;
  std::int32_t rank;
  std::int32_t size;
};
struct Header {
  Proof proof;
  ActivityRecord activity;
};
constexpr std::uint64_t kMagic = 0x31656d6572697274u;

int open_process(int pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

std::string key_of(int rank) { return fmt::format("shm/rank/{}", rank); }

int cores_of_this_process() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

}  // namespace

Fabric::Fabric(int rank, int size, Store& store, std::chrono::milliseconds timeout)
    : rank_(rank),
      range_(std::make_shared<AddressRange>(size)),
      segment_(std::make_shared<Segment>(range_, rank)),
      peers_(static_cast<std::size_t>(size)),
      has_core_for_each_(sysconf(_SC_NPROCESSORS_ONLN) >= size && (size == 1 || cores_of_this_process() >= 1)) {
  publish(store);
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (int peer = 0; peer < size; ++peer) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    open_peer(peer, store.get(key_of(peer), std::max(left, std::chrono::milliseconds(1))));
  }
}

Fabric::~Fabric() {
  for (const Peer& peer : peers_) {
    if (peer.pidfd >= 0) {
      close(peer.pidfd);
    }
  }
}

void Fabric::publish(Store& store) const {
  std::random_device random;
  const std::uint64_t nonce = std::uint64_t{random()} << 32 | random();
  const std::size_t header = segment_->allocate(sizeof(Header));
  new (segment_->base() + header) Header{.proof = {kMagic, nonce, rank_, size()}, .activity = {}};
  const std::size_t control = segment_->allocate(sizeof(Control));
  new (segment_->base() + control) Control;
  store.set(key_of(rank_), fmt::format("{} {} {} {}", getpid(), segment_->fd(), control, nonce));
}

void Fabric::open_peer(int rank, const std::string& entry) {
  Peer& peer = peers_[static_cast<std::size_t>(rank)];
  int fd_there = -1;
  unsigned long long nonce = 0;
  unsigned long long control = 0;
  require(std::sscanf(entry.c_str(), "%d %d %llu %llu", &peer.pid, &fd_there, &control, &nonce) == 4 &&
              control % alignof(Control) == 0 && control + sizeof(Control) <= range_->reserve(),
          "shared memory: rank {} has published \"{}\", which is no segment", rank, entry.substr(0, 80));
  peer.first_block = control;
  peer.pidfd = open_process(peer.pid);
  require(peer.pidfd >= 0,
          "shared memory: rank {} (pid {}) cannot be watched{}; the ranks must run on one host and in one "
          "process namespace",
          rank, peer.pid, errno_text(errno));
  if (rank == rank_) {
    peer.base = segment_->base();
    return;
  }
  const std::string path = fmt::format("/proc/{}/fd/{}", peer.pid, fd_there);
  const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
  require(fd >= 0,
          "shared memory: cannot open the segment of rank {} at {}{}; all ranks must run as one user on one host", rank,
          path, errno_text(errno));
  Proof proof{};
  const bool genuine = pread(fd, &proof, sizeof proof, 0) == sizeof proof && proof.magic == kMagic &&
                       proof.nonce == nonce && proof.rank == rank && proof.size == size();
  if (genuine) {
    peer.base = range_->map(rank, fd);
  }
  close(fd);
  require(genuine, "shared memory: {} is not the segment of rank {}; has its process ended?", path, rank);
}

ActivityRecord& Fabric::activity(int rank) const { return reinterpret_cast<Header*>(base(rank))->activity; }

bool Fabric::is_dead(int rank) const {
  pollfd process{peers_[static_cast<std::size_t>(rank)].pidfd, POLLIN, 0};
  return poll(&process, 1, 0) > 0;
}

}  // namespace trireme::comm::shm
