// A safetensors file on disk, validated when opened, read by rows.
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

  // Fills `out` with rows [row_begin, row_begin + rows) of `tensor` (of this file's header). Raises Error for rows that
  // it does not have, or an `out` of another size. Any thread.
  void read_rows(const TensorEntry& tensor, std::int64_t row_begin, std::int64_t rows, std::span<std::byte> out) const;

 private:
  std::unique_ptr<File> file_;
  std::uint64_t bytes_ = 0;
  SafetensorsHeader header_;
};

}  // namespace trireme::checkpoint
