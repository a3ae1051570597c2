#include "trireme/checkpoint/verified_file.h"

#include <cstring>

#include "trireme/checkpoint/io_threads.h"
#include "trireme/core/array/array.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"
#include "trireme/core/base/parallel.h"

namespace trireme::checkpoint {
namespace {

// Read, then hashed while it is still in the cache.
constexpr std::size_t kPieceBytes = std::size_t{256} << 10;

std::unique_ptr<File> open_direct(FileSystem& files, const std::string& path) {
  std::unique_ptr<File> file = files.open(path, OpenMode::read);
  return file->set_direct(true) ? std::move(file) : nullptr;
}

// Room for a block at an address that direct I/O takes.
class Scratch {
 public:
  explicit Scratch(std::uint64_t bytes)
      : memory_(Array::empty({static_cast<std::int64_t>(bytes + kDirectAlignment)}, DType::u8)), bytes_(bytes) {}

  std::span<std::byte> bytes() const {
    const std::uint64_t above = reinterpret_cast<std::uintptr_t>(memory_.bytes_data()) % kDirectAlignment;
    return {memory_.bytes_data() + (kDirectAlignment - above) % kDirectAlignment, bytes_};
  }

 private:
  Array memory_;
  std::uint64_t bytes_;
};

}  // namespace

VerifiedFile::VerifiedFile(FileSystem& files, const std::string& path, FileRecord record)
    : file_(files.open(path, OpenMode::read)), record_(std::move(record)), verified_(record_.blocks(), 0) {
  const std::uint64_t bytes = file_->size();
  require(bytes == record_.bytes, "{}: the file has {} bytes, the manifest says {}; it was cut short or overwritten",
          path, bytes, record_.bytes);
  if (bytes > record_.block_bytes && record_.block_bytes % kDirectAlignment == 0) {
    direct_ = open_direct(files, path);
  }
}

void VerifiedFile::verify(std::uint64_t begin, std::uint64_t bytes) {
  if (bytes == 0) {
    return;
  }
  const IoThreads threads(bytes);
  const auto first = static_cast<std::int64_t>(begin / record_.block_bytes);
  const auto last = static_cast<std::int64_t>((begin + bytes - 1) / record_.block_bytes);
  parallel_for(last - first + 1, 1, [&](std::int64_t from, std::int64_t to) {
    for (std::int64_t block = first + from; block < first + to; ++block) {
      if (verified_[static_cast<std::size_t>(block)] == 0) {
        read_block(static_cast<std::uint64_t>(block), {});
      }
    }
  });
}

void VerifiedFile::read(std::span<const WantedBytes> wanted) {
  std::vector<Part> parts;
  std::uint64_t all = 0;
  for (const WantedBytes& bytes : wanted) {
    for (std::uint64_t at = 0; at < bytes.to.size();) {
      const std::uint64_t block = (bytes.begin + at) / record_.block_bytes;
      const std::uint64_t here = std::min<std::uint64_t>(bytes.to.size() - at, block_end(block) - bytes.begin - at);
      parts.push_back({block, {bytes.begin + at, bytes.to.subspan(at, here)}});
      at += here;
    }
    all += bytes.to.size();
  }
  std::ranges::stable_sort(parts, {}, &Part::block);
  std::vector<std::size_t> firsts;  // of each block's parts
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i == 0 || parts[i].block != parts[i - 1].block) {
      firsts.push_back(i);
    }
  }
  firsts.push_back(parts.size());
  const IoThreads threads(all);
  parallel_for(static_cast<std::int64_t>(firsts.size()) - 1, 1, [&](std::int64_t from, std::int64_t to) {
    for (auto i = static_cast<std::size_t>(from); i < static_cast<std::size_t>(to); ++i) {
      read_block(parts[firsts[i]].block, std::span(parts).subspan(firsts[i], firsts[i + 1] - firsts[i]));
    }
  });
}

void VerifiedFile::read_block(std::uint64_t block, std::span<const Part> parts) {
  if (verified_[block] != 0) {
    for (const Part& part : parts) {
      file_->read_exactly(part.bytes.begin, part.bytes.to);
    }
    return;
  }
  const std::uint64_t begin = block_begin(block);
  const std::uint64_t bytes = block_end(block) - begin;
  if (parts.size() == 1 && parts[0].bytes.to.size() == bytes && read_cached_into_place(block, parts[0].bytes.to)) {
    return;
  }
  const Scratch scratch(bytes);
  fetch(begin, scratch.bytes());
  check(block, xxh3(scratch.bytes()));
  for (const Part& part : parts) {
    std::memcpy(part.bytes.to.data(), scratch.bytes().data() + (part.bytes.begin - begin), part.bytes.to.size());
  }
}

// False, with nothing decided, if not all of the block is in the machine's memory.
bool VerifiedFile::read_cached_into_place(std::uint64_t block, std::span<std::byte> to) {
  Xxh3 hash;
  for (std::size_t at = 0; at < to.size(); at += kPieceBytes) {
    const std::span<std::byte> piece = to.subspan(at, std::min(kPieceBytes, to.size() - at));
    if (file_->read_cached(block_begin(block) + at, piece) < piece.size()) {
      return false;
    }
    hash.update(piece);
  }
  check(block, hash.digest());
  return true;
}

void VerifiedFile::fetch(std::uint64_t begin, std::span<std::byte> out) {
  std::size_t done = file_->read_cached(begin, out);
  if (done < out.size() && direct_ && out.size() % kDirectAlignment == 0) {
    done = direct_->read(begin, out);
  }
  if (done < out.size()) {
    file_->read_exactly(begin + done, out.subspan(done));
  }
}

void VerifiedFile::check(std::uint64_t block, std::uint64_t hash) {
  require(hash == record_.block_hashes[block], "{}: bytes [{}, {}) do not match their checksum; the file is damaged",
          file_->path(), block_begin(block), block_end(block));
  verified_[block] = 1;
}

}  // namespace trireme::checkpoint
