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
#include "trireme/core/base/parallel.h"

namespace trireme::checkpoint {

class VerifiedFile {
 public:
  // Raises Error unless the file exists with the recorded size.
  VerifiedFile(FileSystem& files, const std::string& path, FileRecord record);

  // Reads and checks the blocks that hold bytes [begin, begin + bytes) and have not been checked yet; on the caller's
  // threads (parallel_for). Raises Error naming path and block.
  void verify(std::uint64_t begin, std::uint64_t bytes);
  void verify_all() { verify(0, record_.bytes); }
  // Fills `out` with the bytes from `begin` on, checked as by verify(). Blocks that are wanted whole are read once,
  // straight to where they go, and checked there: when this raises Error, `out` may hold damaged bytes.
  void read(std::uint64_t begin, std::span<std::byte> out);

 private:
  std::uint64_t block_begin(std::uint64_t block) const { return block * record_.block_bytes; }
  std::uint64_t block_end(std::uint64_t block) const { return std::min(record_.bytes, block_begin(block + 1)); }
  void for_each_block(std::uint64_t begin, std::uint64_t bytes, TileFunction work) const;
  void verify_block(std::uint64_t block);
  void check(std::uint64_t block, std::span<const std::byte> content);

  std::unique_ptr<File> file_;
  FileRecord record_;
  std::vector<std::uint8_t> verified_;  // per block
};

}  // namespace trireme::checkpoint
