#include "trireme/checkpoint/verified_file.h"

#include "trireme/core/array/array.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"

namespace trireme::checkpoint {

VerifiedFile::VerifiedFile(FileSystem& files, const std::string& path, FileRecord record)
    : file_(files.open(path, OpenMode::read)), record_(std::move(record)), verified_(record_.blocks(), 0) {
  const std::uint64_t bytes = file_->size();
  require(bytes == record_.bytes, "{}: the file has {} bytes, the manifest says {}; it was cut short or overwritten",
          path, bytes, record_.bytes);
}

// How the file is cut is fixed by its blocks, so several threads may each take some.
void VerifiedFile::for_each_block(std::uint64_t begin, std::uint64_t bytes, TileFunction work) const {
  if (bytes == 0) {
    return;
  }
  const auto first = static_cast<std::int64_t>(begin / record_.block_bytes);
  const auto last = static_cast<std::int64_t>((begin + bytes - 1) / record_.block_bytes);
  parallel_for(last - first + 1, 1, [&](std::int64_t from, std::int64_t to) { work(first + from, first + to); });
}

void VerifiedFile::verify(std::uint64_t begin, std::uint64_t bytes) {
  for_each_block(begin, bytes, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t block = from; block < to; ++block) {
      verify_block(static_cast<std::uint64_t>(block));
    }
  });
}

void VerifiedFile::read(std::uint64_t begin, std::span<std::byte> out) {
  const std::uint64_t end = begin + out.size();
  for_each_block(begin, out.size(), [&](std::int64_t from, std::int64_t to) {
    for (auto block = static_cast<std::uint64_t>(from); block < static_cast<std::uint64_t>(to); ++block) {
      const std::uint64_t part_begin = std::max(begin, block_begin(block));
      const std::uint64_t part_end = std::min(end, block_end(block));
      const std::span<std::byte> part = out.subspan(part_begin - begin, part_end - part_begin);
      const bool whole = part.size() == block_end(block) - block_begin(block);
      if (!whole) {
        verify_block(block);
      }
      file_->read_exactly(part_begin, part);
      if (whole) {
        check(block, part);
      }
    }
  });
}

void VerifiedFile::verify_block(std::uint64_t block) {
  if (verified_[block] != 0) {
    return;
  }
  const std::uint64_t bytes = block_end(block) - block_begin(block);
  const Array scratch = Array::empty({static_cast<std::int64_t>(bytes)}, DType::u8);
  const std::span<std::byte> content(scratch.bytes_data(), bytes);
  file_->read_exactly(block_begin(block), content);
  check(block, content);
}

void VerifiedFile::check(std::uint64_t block, std::span<const std::byte> content) {
  if (verified_[block] != 0) {
    return;
  }
  require(xxh3(content) == record_.block_hashes[block],
          "{}: bytes [{}, {}) do not match their checksum; the file is damaged", file_->path(), block_begin(block),
          block_end(block));
  verified_[block] = 1;
}

}  // namespace trireme::checkpoint
