// Snapshot: what one rank saves of a state, copied at one moment into memory that is laid out as its file.
#pragma once

#include <cstddef>
#include <span>

#include "trireme/checkpoint/manifest.h"
#include "trireme/core/array/array.h"
#include "trireme/sharding/state.h"

namespace trireme::checkpoint {

// Not for several threads at once. Its memory is kept from one snapshot to the next: no allocation of size once the
// state's size is known.
class Snapshot {
 public:
  // Copies this rank's rows (placement.h) and computes the checksums on the way. Blocks; one pass over the rows.
  void take(std::span<const sharding::StateTensor> tensors, std::int64_t step, int rank, int world_size);

  // The file, byte for byte, and its record.
  std::span<const std::byte> bytes() const { return {image_.bytes_data(), record_.bytes}; }
  const FileRecord& record() const { return record_; }

 private:
  Array image_;  // u8; at least as long as the file
  FileRecord record_;
};

}  // namespace trireme::checkpoint
