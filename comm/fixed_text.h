// Text of bounded length held inline, so that names cost no allocation and can live in shared memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string_view>

namespace trireme::comm {

template <std::size_t Capacity>
class FixedText {
 public:
  FixedText() = default;
  // Longer text is cut, and ends in "..." to show it.
  FixedText(std::string_view text) {  // NOLINT(google-explicit-constructor): a text by another name
    size_ = static_cast<unsigned short>(std::min(text.size(), Capacity));
    std::copy_n(text.data(), size_, text_);  // not memcpy: an empty view may point nowhere
    if (text.size() > Capacity) {
      std::memcpy(text_ + Capacity - 3, "...", 3);
    }
  }
  FixedText(const FixedText& other) : FixedText(other.view()) {}
  FixedText& operator=(const FixedText& other) {
    size_ = other.size_;
    std::memmove(text_, other.text_, size_);
    return *this;
  }

  // Safe on memory that a peer has overwritten: never reaches beyond the capacity.
  std::string_view view() const { return {text_, std::min<std::size_t>(size_, Capacity)}; }
  bool empty() const { return size_ == 0; }

 private:
  unsigned short size_ = 0;
  char text_[Capacity];
};

// The name of an operation: "bucket 4 (blocks.5.attn.qkv.weight ...)".
using OpName = FixedText<94>;

}  // namespace trireme::comm
