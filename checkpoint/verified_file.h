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
struct FileSegment {
  std::uint64_t begin = 0;
  std::span<std::byte> out;

  std::uint64_t end() const { return begin + out.size(); }
};

class VerifiedFile {
 public:
  // Raises Error unless the file exists with the recorded size.
  VerifiedFile(FileSystem& files, const std::string& path, FileRecord record);

  // Fills the segments, which are sorted by where they begin and do not overlap. Every block that holds some of their
  // bytes is read once, each byte straight to where it goes, and checked on the way unless that was done before; on the
  // caller's threads (parallel_for). Raises Error naming path and block; then segments may hold damaged bytes.
  void read(std::span<const FileSegment> segments);
  // Reads and checks the blocks that hold bytes [begin, begin + bytes) and have not been checked yet.
  void verify(std::uint64_t begin, std::uint64_t bytes);
  void verify_all() { verify(0, record_.bytes); }

 private:
  std::uint64_t block_begin(std::uint64_t block) const { return block * record_.block_bytes; }
  std::uint64_t block_end(std::uint64_t block) const { return std::min(record_.bytes, block_begin(block + 1)); }
  void check_block(std::uint64_t block, std::span<const FileSegment> segments);

  std::unique_ptr<File> file_;
  FileRecord record_;
  std::vector<std::uint8_t> verified_;  // per block
};

}  // namespace trireme::checkpoint
