// Checksums of a file by blocks, from bytes that arrive in pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "trireme/checkpoint/manifest.h"
#include "trireme/core/base/hash.h"

namespace trireme::checkpoint {

class BlockHasher {
 public:
  explicit BlockHasher(std::uint64_t block_bytes = kBlockBytes) : block_bytes_(block_bytes) {}

  void update(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const std::span<const std::byte> part =
          bytes.first(std::min<std::uint64_t>(bytes.size(), block_bytes_ - in_block_));
      hash_.update(part);
      in_block_ += part.size();
      bytes = bytes.subspan(part.size());
      if (in_block_ == block_bytes_) {
        close_block();
      }
    }
  }

  // The hashes of all blocks so far, a last short one included; starts again.
  std::vector<std::uint64_t> finish() {
    if (in_block_ > 0) {
      close_block();
    }
    return std::exchange(hashes_, {});
  }

 private:
  void close_block() {
    hashes_.push_back(hash_.digest());
    hash_.reset();
    in_block_ = 0;
  }

  std::uint64_t block_bytes_;
  std::uint64_t in_block_ = 0;
  Xxh3 hash_;
  std::vector<std::uint64_t> hashes_;
};

}  // namespace trireme::checkpoint
