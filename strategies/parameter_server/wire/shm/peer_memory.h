// The memory in which a peer lays what it sends: mapped here, and kept as long as an array of this process lies in it,
// so that arrays outlive the connection and even the peer.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "trireme/comm/shm/segment.h"
#include "trireme/core/base/fd.h"

namespace trireme::strategies::parameter_server::wire {

// What one direction of a connection may have in memory at a time. Small enough to stay in a processor's cache, where
// a sender and a receiver that both copy are faster than one of them copying through main memory.
inline constexpr std::size_t kMemoryBytes = std::size_t{16} << 20;
// Address space for it: blocks of all sizes do not fill a memory without gaps.
inline constexpr std::size_t kReserveBytes = std::size_t{256} << 20;

class PeerMemory : public std::enable_shared_from_this<PeerMemory> {
 public:
  // `give_back` is told the offset of each block that release() or the last array over it lets go; any thread.
  // Raises Error if the descriptor is no memory that can be trusted never to shrink.
  PeerMemory(Fd memory, std::function<void(std::size_t offset)> give_back);

  // The bytes of a block that the peer has announced. Raises Error if its memory does not reach so far.
  std::span<const std::byte> block(std::size_t offset, std::size_t bytes);
  void release(std::size_t offset) const { give_back_(offset); }

  // Whether arrays of this process may lie in so many bytes more, so that the peer never runs out of room.
  bool can_lend(std::size_t bytes) const { return lent_ + bytes <= kMemoryBytes / 2; }
  // The block as storage; released with the last array over it.
  StorageRef lend(std::size_t offset, std::size_t bytes);

 private:
  comm::shm::AddressRange range_;
  Fd memory_;
  std::byte* base_;
  std::size_t known_bytes_ = 0;
  std::function<void(std::size_t)> give_back_;
  std::atomic<std::size_t> lent_{0};
};

}  // namespace trireme::strategies::parameter_server::wire
