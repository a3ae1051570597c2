// Token files: raw little-endian token ids, as tokenizers write them (.bin), read from disk as they are needed.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "trireme/core/data/dataset.h"

namespace trireme::data {

enum class TokenWidth : std::uint8_t { u16 = 2, u32 = 4 };

// N tokens have W = floor((N - 1) / context) windows; item w is inputs i32 [context] = tokens [w * context, (w + 1) *
// context) and labels the same shifted by one. Ids of 2^31 and more raise Error when they are read.
class TokenFile final : public Dataset {
 public:
  // Raises Error if the file is absent, is not a whole number of tokens, or is shorter than one window and its target.
  TokenFile(const std::filesystem::path& path, std::int64_t context, TokenWidth width = TokenWidth::u16);

  std::int64_t count() const override { return windows_; }
  void fetch(std::span<const std::int64_t> items, Batch& batch) const override;
  bool in_memory() const override { return false; }
  std::int64_t tokens() const { return tokens_; }

 private:
  class File;

  std::filesystem::path path_;
  std::int64_t context_;
  TokenWidth width_;
  std::int64_t tokens_ = 0;
  std::int64_t windows_ = 0;
  std::shared_ptr<const File> file_;
};

}  // namespace trireme::data
