#include "trireme/core/data/tokens.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "trireme/core/base/error.h"
#include "trireme/core/base/fd.h"
#include "trireme/core/data/file_bytes.h"

namespace trireme::data {

// An open file that any thread may read from.
class TokenFile::File {
 public:
  explicit File(const std::filesystem::path& path) : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    require(static_cast<bool>(descriptor_), "token file {}: it cannot be opened{}", path.string(), errno_text(errno));
  }

  void read(std::int64_t offset, std::size_t bytes, std::uint8_t* out, const std::filesystem::path& path) const {
    for (std::size_t done = 0; done < bytes;) {
      const ssize_t got =
          ::pread(descriptor_.get(), out + done, bytes - done, offset + static_cast<std::int64_t>(done));
      if (got < 0 && errno == EINTR) {
        continue;
      }
      if (got <= 0) [[unlikely]] {
        const std::string cause = errno_text(errno);
        require(got == 0, "token file {}: reading at byte {} failed{}", path.string(), offset, cause);
        fail("token file {}: it ended at byte {}; it was longer when it was opened", path.string(),
             offset + static_cast<std::int64_t>(done));
      }
      done += static_cast<std::size_t>(got);
    }
  }

 private:
  Fd descriptor_;
};

namespace {

// Ids of `count` raw little-endian tokens.
void widen(const std::uint8_t* raw, TokenWidth width, std::int64_t count, std::int32_t* out,
           const std::filesystem::path& path) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (width == TokenWidth::u16) {
      out[i] = raw[2 * i] | raw[2 * i + 1] << 8;
      continue;
    }
    std::uint32_t id;
    std::memcpy(&id, raw + 4 * i, sizeof(id));
    if (id >= 0x80000000u) [[unlikely]] {
      fail("token file {}: token id {} found, ids below 2^31 expected; is the file u16?", path.string(), id);
    }
    out[i] = static_cast<std::int32_t>(id);
  }
}

}  // namespace

TokenFile::TokenFile(const std::filesystem::path& path, std::int64_t context, TokenWidth width)
    : path_(path), context_(context), width_(width) {
  require_usage(context > 0, "data::TokenFile: a context of {} given, a positive number expected", context);
  const auto size = static_cast<std::int64_t>(width);
  const std::int64_t bytes = size_of_file(path);
  require(bytes % size == 0,
          "token file {}: expected a multiple of {} bytes, found {}; it is torn, or of another width", path.string(),
          size, bytes);
  tokens_ = bytes / size;
  require(tokens_ > context,
          "token file {}: {} tokens found, at least {} expected (a context of {} and its last target)", path.string(),
          tokens_, context + 1, context);
  windows_ = (tokens_ - 1) / context;
  file_ = std::make_shared<const File>(path);
}

void TokenFile::fetch(std::span<const std::int64_t> items, Batch& batch) const {
  batch.items = static_cast<std::int64_t>(items.size());
  make_room(batch.inputs, {batch.items, context_}, DType::i32);
  make_room(batch.labels, {batch.items, context_}, DType::i32);
  const auto size = static_cast<std::int64_t>(width_);
  const Array raw = Array::empty({(context_ + 1) * size}, DType::u8);
  const Array ids = Array::empty({context_ + 1}, DType::i32);
  std::int32_t* inputs = batch.inputs.data<std::int32_t>();
  std::int32_t* labels = batch.labels.data<std::int32_t>();
  const std::size_t window = static_cast<std::size_t>(context_) * sizeof(std::int32_t);
  for (const std::int64_t item : items) {
    file_->read(item * context_ * size, raw.bytes(), raw.data<std::uint8_t>(), path_);
    widen(raw.data<std::uint8_t>(), width_, context_ + 1, ids.data<std::int32_t>(), path_);
    std::memcpy(inputs, ids.data<std::int32_t>(), window);
    std::memcpy(labels, ids.data<std::int32_t>() + 1, window);
    inputs += context_;
    labels += context_;
  }
}

}  // namespace trireme::data
