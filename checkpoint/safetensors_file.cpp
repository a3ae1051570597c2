#include "trireme/checkpoint/safetensors_file.h"

#include <array>

#include "trireme/core/base/error.h"

namespace trireme::checkpoint {

SafetensorsFile::SafetensorsFile(FileSystem& files, const std::string& path) : file_(files.open(path, OpenMode::read)) {
  bytes_ = file_->size();
  require(bytes_ >= 8,
          "{}: the file has {} bytes, a safetensors file at least 8; it was cut short or is something else", path,
          bytes_);
  std::array<std::byte, 8> prefix{};
  file_->read_exactly(0, prefix);
  std::string json(parse_safetensors_length(prefix, bytes_, path), '\0');
  file_->read_exactly(8, std::as_writable_bytes(std::span(json)));
  header_ = parse_safetensors_header(json, bytes_, path);
}

}  // namespace trireme::checkpoint
