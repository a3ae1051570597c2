// The last lines of a stream.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::launcher {

// Keeps the last `lines` lines, each cut to a screen's width. What a carriage return overwrites (a progress bar) is
// forgotten.
class LineTail {
 public:
  explicit LineTail(std::size_t lines) : capacity_(lines) {}
  void append(std::string_view text);
  // Oldest first; an unfinished last line counts.
  std::vector<std::string> lines() const;

 private:
  static constexpr std::size_t kMaxLine = 400;
  std::size_t capacity_;
  std::deque<std::string> lines_;
  std::string unfinished_;
};

}  // namespace trireme::launcher
