// Snapshot: what one rank saves of a state, copied at one moment into memory that is laid out as its file.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "trireme/checkpoint/block_hasher.h"
#include "trireme/checkpoint/manifest.h"
#include "trireme/checkpoint/shard_plan.h"
#include "trireme/core/array/array.h"
#include "trireme/sharding/state.h"

namespace trireme::checkpoint {

// One thread takes snapshots; another may follow it, writing bytes as soon as they are copied. Its memory is kept from
// one snapshot to the next: no allocation of size once the state's size is known.
class Snapshot {
 public:
  // Plans the file of this rank's rows (placement.h). Raises Error for a state that cannot be saved.
  void plan(std::span<const sharding::StateTensor> tensors, std::int64_t step, int rank, int world_size);
  // Copies the rows of the same tensors, and computes the checksums on the way. Blocks; one pass over the rows.
  void copy(std::span<const sharding::StateTensor> tensors);

  std::uint64_t file_bytes() const { return record_.bytes; }
  // The first `bytes` bytes of the file, once they are copied. Blocks; raises Error if copy() failed.
  std::span<const std::byte> wait_for(std::uint64_t bytes);
  // REQUIRES: wait_for(file_bytes()) has returned, or copy() has.
  const FileRecord& record() const { return record_; }

 private:
  void copy_and_hash(std::span<const std::byte> from, std::uint64_t begin, BlockHasher& hasher);
  void set_ready(std::uint64_t bytes, bool failed);

  Array image_;  // u8; at least as long as the file
  std::string header_;
  std::vector<ShardPart> parts_;  // in the order of the file
  FileRecord record_;
  std::mutex mutex_;
  std::condition_variable advanced_;
  std::uint64_t ready_ = 0;
  bool failed_ = false;
};

}  // namespace trireme::checkpoint
