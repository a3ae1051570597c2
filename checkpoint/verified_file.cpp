#include "trireme/checkpoint/verified_file.h"

#include "trireme/core/array/array.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"
#include "trireme/core/base/parallel.h"

namespace trireme::checkpoint {
namespace {

// Read, then hashed while it is still in the cache.
constexpr std::int64_t kPieceBytes = std::int64_t{256} << 10;

}  // namespace

VerifiedFile::VerifiedFile(FileSystem& files, const std::string& path, FileRecord record)
    : file_(files.open(path, OpenMode::read)), record_(std::move(record)), verified_(record_.blocks(), 0) {
  const std::uint64_t bytes = file_->size();
  require(bytes == record_.bytes, "{}: the file has {} bytes, the manifest says {}; it was cut short or overwritten",
          path, bytes, record_.bytes);
}

void VerifiedFile::read(std::span<const FileSegment> segments) {
  std::vector<std::uint64_t> blocks;  // that hold some of the bytes
  for (const FileSegment& segment : segments) {
    if (segment.out.empty()) {
      continue;
    }
    const std::uint64_t last = (segment.end() - 1) / record_.block_bytes;
    for (std::uint64_t block = segment.begin / record_.block_bytes; block <= last; ++block) {
      if (blocks.empty() || blocks.back() != block) {
        blocks.push_back(block);
      }
    }
  }
  parallel_for(static_cast<std::int64_t>(blocks.size()), 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      check_block(blocks[static_cast<std::size_t>(i)], segments);
    }
  });
}

void VerifiedFile::verify(std::uint64_t begin, std::uint64_t bytes) {
  if (bytes == 0) {
    return;
  }
  const std::uint64_t first = begin / record_.block_bytes;
  const std::uint64_t last = (begin + bytes - 1) / record_.block_bytes;
  parallel_for(static_cast<std::int64_t>(last - first + 1), 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t i = from; i < to; ++i) {
      if (verified_[first + static_cast<std::uint64_t>(i)] == 0) {
        check_block(first + static_cast<std::uint64_t>(i), {});
      }
    }
  });
}

// Walks through the block: what is wanted goes to its place, the rest, which only the checksum needs, to a scratch.
void VerifiedFile::check_block(std::uint64_t block, std::span<const FileSegment> segments) {
  const bool check = verified_[block] == 0;
  const std::uint64_t end = block_end(block);
  std::uint64_t at = block_begin(block);
  Xxh3 hash;
  Array scratch;
  const auto piece = [&](std::span<std::byte> bytes) {
    file_->read_exactly(at, bytes);
    if (check) {
      hash.update(bytes);
    }
    at += bytes.size();
  };
  const auto pass_over = [&](std::uint64_t to) {
    if (!check) {
      at = to;
      return;
    }
    if (at < to && !scratch.defined()) {
      scratch = Array::empty({kPieceBytes}, DType::u8);
    }
    while (at < to) {
      piece({scratch.bytes_data(), std::min<std::uint64_t>(to - at, kPieceBytes)});
    }
  };
  auto segment = std::partition_point(segments.begin(), segments.end(),
                                      [&](const FileSegment& other) { return other.end() <= at; });
  for (; segment != segments.end() && segment->begin < end; ++segment) {
    pass_over(std::max(at, segment->begin));
    const std::uint64_t stop = std::min(end, segment->end());
    while (at < stop) {
      piece(segment->out.subspan(at - segment->begin, std::min<std::uint64_t>(stop - at, kPieceBytes)));
    }
  }
  pass_over(end);
  if (check) {
    require(hash.digest() == record_.block_hashes[block],
            "{}: bytes [{}, {}) do not match their checksum; the file is damaged", file_->path(), block_begin(block),
            end);
    verified_[block] = 1;
  }
}

}  // namespace trireme::checkpoint
