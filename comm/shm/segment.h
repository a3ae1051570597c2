// The memory that one rank shares with its peers: an anonymous memory file (memfd), so that nothing has a name in
// /dev/shm, nothing counts against the 64 MB that containers give /dev/shm, and the kernel takes it back when the last
// process that maps it ends, however it ends.
//
// Peers open it as /proc/PID/fd/N (same user and process namespace, as the ranks of one launcher have), which needs no
// help of the owner, and map its whole reserve once; the owner grows it by need without telling anyone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "trireme/core/array/array.h"

namespace trireme::comm::shm {

// Address space for the segments of `ranks` ranks, staggered: two segments a multiple of 256 MB apart take each other's
// lines from the nearest cache and run at a quarter of the speed.
class AddressRange {
 public:
  // `most`: bytes that no rank will exceed, where less than the machine's memory will do.
  explicit AddressRange(int ranks, std::size_t most = SIZE_MAX);
  ~AddressRange();
  AddressRange(const AddressRange&) = delete;
  AddressRange& operator=(const AddressRange&) = delete;

  std::size_t reserve() const { return reserve_; }  // bytes for each rank
  // Maps the file as the segment of `rank`. Bytes beyond its present end must not be touched.
  std::byte* map(int rank, int fd) const;

 private:
  std::size_t reserve_;
  std::size_t total_;
  std::byte* base_;
};

// The rank's own segment: a memory file and the blocks given out in it. Any thread.
class Segment {
 public:
  Segment(std::shared_ptr<const AddressRange> range, int rank);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  int fd() const { return fd_; }
  std::byte* base() const { return base_; }
  bool contains(const std::byte* data, std::size_t bytes) const {
    return data >= base_ && data + bytes <= base_ + range_->reserve();
  }
  // Offset of a block of zero or old bytes, aligned to 64. Raises Error when the system has no memory.
  std::size_t allocate(std::size_t bytes);
  void free(std::size_t offset) noexcept;

 private:
  void grow(std::size_t end);

  std::shared_ptr<const AddressRange> range_;
  int fd_;
  std::byte* base_ = nullptr;
  std::mutex mutex_;
  std::size_t end_ = 0;                        // bytes of the file
  std::size_t top_ = 0;                        // bytes ever given out
  std::map<std::size_t, std::size_t> free_;    // offset -> bytes, neighbours merged
  std::map<std::size_t, std::size_t> in_use_;  // offset -> bytes
};

// An array in the segment, which it keeps alive.
Array allocate_array(const std::shared_ptr<Segment>& segment, const Shape& shape, DType dtype);

}  // namespace trireme::comm::shm
