#include "trireme/checkpoint/verified_file.h"

#include <algorithm>

#include "trireme/core/array/array.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"
#include "trireme/core/base/parallel.h"

namespace trireme::checkpoint {

VerifiedFile::VerifiedFile(FileSystem& files, const std::string& path, FileRecord record)
    : file_(files.open(path, OpenMode::read)), record_(std::move(record)), verified_(record_.blocks(), 0) {
  const std::uint64_t bytes = file_->size();
  require(bytes == record_.bytes, "{}: the file has {} bytes, the manifest says {}; it was cut short or overwritten",
          path, bytes, record_.bytes);
}

void VerifiedFile::verify(std::uint64_t begin, std::uint64_t bytes) {
  if (bytes == 0) {
    return;
  }
  const auto first = static_cast<std::int64_t>(begin / record_.block_bytes);
  const auto last = static_cast<std::int64_t>((begin + bytes - 1) / record_.block_bytes);
  parallel_for(last - first + 1, 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      verify_block(static_cast<std::uint64_t>(first + i));
    }
  });
}

void VerifiedFile::verify_block(std::uint64_t block) {
  if (verified_[block] != 0) {
    return;
  }
  const std::uint64_t begin = block * record_.block_bytes;
  const std::uint64_t bytes = std::min(record_.block_bytes, record_.bytes - begin);
  const Array scratch = Array::empty({static_cast<std::int64_t>(bytes)}, DType::u8);
  const std::span<std::byte> content(scratch.bytes_data(), bytes);
  file_->read_exactly(begin, content);
  require(xxh3(content) == record_.block_hashes[block],
          "{}: bytes [{}, {}) do not match their checksum; the file is damaged", file_->path(), begin, begin + bytes);
  verified_[block] = 1;
}

}  // namespace trireme::checkpoint
