// A safetensors file on disk, validated when opened.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "trireme/checkpoint/safetensors.h"
#include "trireme/core/base/filesystem.h"

namespace trireme::checkpoint {

class SafetensorsFile {
 public:
  // Reads and checks the header only. Raises Error if anything about it is wrong.
  SafetensorsFile(FileSystem& files, const std::string& path);

  const SafetensorsHeader& header() const { return header_; }
  const std::string& path() const { return file_->path(); }
  std::uint64_t bytes() const { return bytes_; }

  // Fills `out` with the file's bytes from `begin` on. Any thread.
  void read(std::uint64_t begin, std::span<std::byte> out) const { file_->read_exactly(begin, out); }

 private:
  std::unique_ptr<File> file_;
  std::uint64_t bytes_ = 0;
  SafetensorsHeader header_;
};

}  // namespace trireme::checkpoint
