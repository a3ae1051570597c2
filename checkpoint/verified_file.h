// A file of a checkpoint whose bytes are checked against the manifest before they are used, each block once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "trireme/checkpoint/manifest.h"
#include "trireme/core/base/filesystem.h"

namespace trireme::checkpoint {

class VerifiedFile {
 public:
  // Raises Error unless the file exists with the recorded size.
  VerifiedFile(FileSystem& files, const std::string& path, FileRecord record);

  // Reads and checks the blocks that hold bytes [begin, begin + bytes) and have not been checked yet; on the caller's
  // threads (parallel_for). Raises Error naming path and block.
  void verify(std::uint64_t begin, std::uint64_t bytes);
  void verify_all() { verify(0, record_.bytes); }

 private:
  void verify_block(std::uint64_t block);

  std::unique_ptr<File> file_;
  FileRecord record_;
  std::vector<std::uint8_t> verified_;  // per block
};

}  // namespace trireme::checkpoint
