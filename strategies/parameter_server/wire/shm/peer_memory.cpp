#include "trireme/strategies/parameter_server/wire/shm/peer_memory.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server::wire {

PeerMemory::PeerMemory(Fd memory, std::function<void(std::size_t)> give_back)
    : range_(1, kReserveBytes), memory_(std::move(memory)), give_back_(std::move(give_back)) {
  const int seals = fcntl(memory_.get(), F_GET_SEALS);
  require(seals >= 0 && (seals & F_SEAL_SHRINK) != 0, "wire: the peer's memory is no sealed memory file{}",
          errno_text(errno));
  base_ = range_.map(0, memory_.get());
}

std::span<const std::byte> PeerMemory::block(std::size_t offset, std::size_t bytes) {
  const auto reaches = [&](std::size_t end) { return offset <= end && bytes <= end - offset; };
  if (!reaches(known_bytes_)) {
    struct stat status {};
    known_bytes_ = fstat(memory_.get(), &status) == 0 ? static_cast<std::size_t>(status.st_size) : 0;
  }
  require(reaches(std::min(known_bytes_, range_.reserve())) && offset % 64 == 0,
          "wire: the peer announced {} bytes at {} of its memory, which has {}", bytes, offset, known_bytes_);
  return {base_ + offset, bytes};
}

StorageRef PeerMemory::lend(std::size_t offset, std::size_t bytes) {
  lent_ += bytes;
  return Storage::adopt(base_ + offset, bytes, [self = shared_from_this(), offset, bytes] {
    self->lent_ -= bytes;
    self->release(offset);
  });
}

}  // namespace trireme::strategies::parameter_server::wire
