#include "trireme/launcher/line_tail.h"

namespace trireme::launcher {

void LineTail::append(std::string_view text) {
  for (const char letter : text) {
    if (letter == '\n') {
      if (!unfinished_.empty()) {
        lines_.push_back(std::move(unfinished_));
      }
      unfinished_.clear();
      if (lines_.size() > capacity_) {
        lines_.pop_front();
      }
    } else if (letter == '\r') {
      unfinished_.clear();
    } else if (unfinished_.size() < kMaxLine) {
      unfinished_.push_back(letter);
    }
  }
}

std::vector<std::string> LineTail::lines() const {
  std::vector<std::string> all(lines_.begin(), lines_.end());
  if (!unfinished_.empty()) {
    all.push_back(unfinished_);
    if (all.size() > capacity_) {
      all.erase(all.begin());
    }
  }
  return all;
}

}  // namespace trireme::launcher
