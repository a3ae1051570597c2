// A file of a checkpoint whose bytes are checked against the manifest before they are used, each block once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trireme/checkpoint/manifest.h"
#include "trireme/core/base/filesystem.h"

namespace trireme::checkpoint {

// Bytes of a file from `begin` on, and where they are wanted.
struct WantedBytes {
  std::uint64_t begin = 0;
  std::span<std::byte> to;
};

// Works on the caller's threads (parallel_for), a block at a time. What the machine's memory holds is copied from
// there; the rest comes from the disk past the page cache, where that can be had: several times as fast as through it.
class VerifiedFile {
 public:
  // Raises Error unless the file exists with the recorded size.
  VerifiedFile(FileSystem& files, const std::string& path, FileRecord record);

  // Reads and checks the blocks that hold bytes [begin, begin + bytes) and have not been checked yet. Raises Error
  // naming path and block.
  void verify(std::uint64_t begin, std::uint64_t bytes);
  void verify_all() { verify(0, record_.bytes); }
  // Fills `wanted`, in any order, each block read once. Raises Error as verify() does; then some of `wanted` is filled,
  // maybe with damaged bytes.
  void read(std::span<const WantedBytes> wanted);
  void read(std::uint64_t begin, std::span<std::byte> out) {
    const WantedBytes wanted{begin, out};
    read({&wanted, 1});
  }

 private:
  // A part of a block that somebody wants.
  struct Part {
    std::uint64_t block = 0;
    WantedBytes bytes;
  };
  std::uint64_t block_begin(std::uint64_t block) const { return block * record_.block_bytes; }
  std::uint64_t block_end(std::uint64_t block) const { return std::min(record_.bytes, block_begin(block + 1)); }
  void read_block(std::uint64_t block, std::span<const Part> parts);
  bool read_cached_into_place(std::uint64_t block, std::span<std::byte> to);
  void fetch(std::uint64_t begin, std::span<std::byte> out);
  void check(std::uint64_t block, std::uint64_t hash);

  std::unique_ptr<File> file_;
  std::unique_ptr<File> direct_;  // the same, past the page cache; null where that cannot be had
  FileRecord record_;
  std::vector<std::uint8_t> verified_;  // per block
};

}  // namespace trireme::checkpoint
