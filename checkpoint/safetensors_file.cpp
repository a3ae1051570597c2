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

void SafetensorsFile::read_rows(const TensorEntry& tensor, std::int64_t row_begin, std::int64_t rows,
                                std::span<std::byte> out) const {
  require(row_begin >= 0 && rows >= 0 && row_begin <= tensor.rows() - rows,
          "{}: rows [{}, {}) of '{}' wanted, it has {}", path(), row_begin, row_begin + rows, tensor.name,
          tensor.rows());
  const std::uint64_t bytes = static_cast<std::uint64_t>(rows) * tensor.row_bytes();
  require(out.size() == bytes, "{}: {} rows of '{}' are {} bytes, room for {} given", path(), rows, tensor.name, bytes,
          out.size());
  file_->read_exactly(header_.data_begin + tensor.begin + static_cast<std::uint64_t>(row_begin) * tensor.row_bytes(),
                      out);
}

}  // namespace trireme::checkpoint
