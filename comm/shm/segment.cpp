#include "trireme/comm/shm/segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "trireme/core/base/error.h"
#include "trireme/core/base/physical_memory.h"

namespace trireme::comm::shm {
namespace {

constexpr std::size_t kAliasing = std::size_t{256} << 20;
constexpr std::size_t kStagger = 0x5b000;                     // an odd number of pages
constexpr std::size_t kMostAddresses = std::size_t{1} << 45;  // of the 2^47 that a process has
constexpr std::size_t kGrowth = 256 << 10;

std::size_t round_up(std::size_t value, std::size_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// No rank can fill more than the machine's memory.
std::size_t reserve_for(int ranks, std::size_t most) {
  const auto memory = static_cast<std::size_t>(physical_memory());
  return round_up(std::min({memory, kMostAddresses / static_cast<std::size_t>(ranks), most}), kAliasing);
}

}  // namespace

AddressRange::AddressRange(int ranks, std::size_t most)
    : reserve_(reserve_for(ranks, most)), total_(static_cast<std::size_t>(ranks) * (reserve_ + kStagger)) {
  void* base = mmap(nullptr, total_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  require(base != MAP_FAILED, "shared memory: cannot reserve {} bytes of addresses{}; raise or remove ulimit -v",
          total_, errno_text(errno));
  base_ = static_cast<std::byte*>(base);
}

AddressRange::~AddressRange() { munmap(base_, total_); }

std::byte* AddressRange::map(int rank, int fd) const {
  std::byte* where = base_ + static_cast<std::size_t>(rank) * (reserve_ + kStagger);
  void* mapped = mmap(where, reserve_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, fd, 0);
  require(mapped != MAP_FAILED, "shared memory: cannot map the segment of rank {}{}", rank, errno_text(errno));
  madvise(mapped, reserve_, MADV_DONTDUMP);  // only a wish
  return where;
}

Segment::Segment(std::shared_ptr<const AddressRange> range, int rank)
    : range_(std::move(range)), fd_(memfd_create("trireme", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
  require(fd_ >= 0, "shared memory: memfd_create failed{}; use --backend local or a kernel from 3.17 on",
          errno_text(errno));
  // Never to shrink: a peer that reads a page beyond the end would die of SIGBUS.
  if (fchmod(fd_, 0600) != 0 || fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK) != 0) {
    const std::string reason = errno_text(errno);
    close(fd_);
    fail("shared memory: cannot protect the segment{}", reason);
  }
  base_ = range_->map(rank, fd_);
}

Segment::~Segment() { close(fd_); }

void Segment::grow(std::size_t end) {
  const std::size_t wanted = round_up(end, kGrowth);
  require(wanted <= range_->reserve(),
          "shared memory: {} bytes asked for, this machine has {}; use more ranks or smaller buckets", wanted,
          range_->reserve());
  int error = 0;
  while ((error = posix_fallocate(fd_, static_cast<off_t>(end_), static_cast<off_t>(wanted - end_))) == EINTR) {
  }
  require(error == 0, "shared memory: cannot grow the segment to {} bytes{}", wanted, errno_text(error));
#ifdef MADV_POPULATE_WRITE
  madvise(base_ + end_, wanted - end_, MADV_POPULATE_WRITE);  // so that the first step has no page faults; only a wish
#endif
  end_ = wanted;
}

std::size_t Segment::allocate(std::size_t bytes) {
  const std::size_t wanted = round_up(std::max<std::size_t>(bytes, 1), 64);
  const std::lock_guard lock(mutex_);
  auto best = free_.end();
  for (auto it = free_.begin(); it != free_.end(); ++it) {
    if (it->second >= wanted && (best == free_.end() || it->second < best->second)) {
      best = it;
    }
  }
  std::size_t offset = top_;
  if (best != free_.end()) {
    offset = best->first;
    const std::size_t left = best->second - wanted;
    free_.erase(best);
    if (left > 0) {
      free_.emplace(offset + wanted, left);
    }
  } else {
    if (top_ + wanted > end_) {
      grow(top_ + wanted);
    }
    top_ += wanted;
  }
  in_use_.emplace(offset, wanted);
  return offset;
}

void Segment::free(std::size_t offset) noexcept {
  const std::lock_guard lock(mutex_);
  auto node = in_use_.extract(offset);
  auto it = free_.insert(std::move(node)).position;
  const auto next = std::next(it);
  if (next != free_.end() && it->first + it->second == next->first) {
    it->second += next->second;
    free_.erase(next);
  }
  if (it != free_.begin()) {
    const auto before = std::prev(it);
    if (before->first + before->second == it->first) {
      before->second += it->second;
      free_.erase(it);
    }
  }
}

Array allocate_array(const std::shared_ptr<Segment>& segment, const Shape& shape, DType dtype) {
  const std::size_t bytes = static_cast<std::size_t>(shape.count()) * size_of(dtype);
  const std::size_t offset = segment->allocate(bytes);
  auto release = [segment, offset] { segment->free(offset); };
  return Array::over(Storage::adopt(segment->base() + offset, bytes, std::move(release)), 0, shape, dtype);
}

}  // namespace trireme::comm::shm
