// Text as bytes, cut into windows: the data of character-level language models.
#pragma once

#include <filesystem>
#include <vector>

#include "trireme/core/data/dataset.h"

namespace trireme::data {

// The bytes of the files in the order given; of a directory all regular files below it in sorted path order. N bytes
// have W = floor((N - 1) / context) windows; item w is inputs u8 [context] = bytes [w * context, (w + 1) * context) and
// labels the same shifted by one.
class ByteText final : public Dataset {
 public:
  // Raises Error if a path is absent or unreadable, or if the text is shorter than one window and its last target.
  ByteText(const std::vector<std::filesystem::path>& paths, std::int64_t context);
  ByteText(std::vector<std::uint8_t> text, std::int64_t context);

  // The C++ headers of the machine's own compiler: real text that every machine that can build Trireme has.
  static ByteText cpp_headers(std::int64_t context);

  std::int64_t count() const override { return windows_; }
  void fetch(std::span<const std::int64_t> items, Batch& batch) const override;
  std::int64_t bytes() const { return static_cast<std::int64_t>(text_.size()); }
  const std::vector<std::uint8_t>& text() const { return text_; }

 private:
  std::vector<std::uint8_t> text_;
  std::int64_t context_;
  std::int64_t windows_;
};

// The directory of those headers: of the compiler that built this, if it is there, else the newest one. Raises Error if
// the machine has none.
std::filesystem::path cpp_header_directory();

}  // namespace trireme::data
