// Snapshot: what one rank saves of a state, copied into memory that is laid out as its file.
//
// begin() copies at once what may change before the next update of the optimizer (buffers), and keeps references to the
// rest (parameters, the optimizer's state); copy() copies that while forward and backward of the next step run, and the
// update waits for it in wait_copied().
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

// Three threads: the caller's plans, begins and waits; one copies; one follows it, writing bytes as soon as they are
// copied. Its memory is kept from one snapshot to the next: no allocation of size once the state's size is known.
class Snapshot {
 public:
  // Plans the file of this rank's rows (placement.h). Raises Error for a state that cannot be saved.
  void plan(std::span<const sharding::StateTensor> tensors, std::int64_t step, int rank, int world_size);
  // Of the same tensors; those that are not steady may change as soon as it returns.
  void begin(std::span<const sharding::StateTensor> tensors);
  // Copies the steady tensors, and computes all checksums on the way; one pass. After begin(), on any thread. Raises
  // nothing: whoever waits for the bytes learns of a failure.
  void copy() noexcept;
  // Blocks until copy() has ended: the steady tensors may change. Lets go of them.
  void wait_copied();

  std::uint64_t file_bytes() const { return record_.bytes; }
  // What the image takes: constant while the state's size is.
  std::uint64_t memory_bytes() const { return image_.bytes(); }
  // The first `bytes` bytes of the file, once they are copied; they begin at a multiple of kDirectAlignment. Blocks;
  // raises Error if copy() failed.
  std::span<const std::byte> wait_for(std::uint64_t bytes);
  // REQUIRES: wait_for(file_bytes()) has returned, or copy() has.
  const FileRecord& record() const { return record_; }

 private:
  struct Piece {
    std::span<const std::byte> from;  // empty: in the image already
    std::uint64_t begin = 0;          // in the file
    std::uint64_t bytes = 0;
  };
  void reserve_image(std::uint64_t bytes);
  void copy_and_hash(const Piece& piece, BlockHasher& hasher);
  void set_ready(std::uint64_t bytes, bool ended, std::string failure = {});

  Array image_;                   // u8; at least as long as the file
  std::byte* begin_ = nullptr;    // of the file within it
  std::string header_;            // the file's first bytes
  std::vector<ShardPart> parts_;  // in the order of the file
  std::vector<Piece> pieces_;     // the same, with the header before them
  std::vector<Array> held_;       // what pieces point into
  FileRecord record_;
  std::mutex mutex_;
  std::condition_variable advanced_;
  std::uint64_t ready_ = 0;
  bool ended_ = true;
  std::string failure_;
};

}  // namespace trireme::checkpoint
