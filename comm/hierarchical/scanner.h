// Reads a text from its front; what does not fit leaves it where it was. Not std::regex: threads that use one at a time
// race for the caches of its locale.
#pragma once

#include <algorithm>
#include <string_view>

namespace trireme::comm::hierarchical {

inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
inline bool is_lower_or_digit(char c) { return is_digit(c) || (c >= 'a' && c <= 'z'); }
inline bool is_word(char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_'; }

class Scanner {
 public:
  explicit Scanner(std::string_view text) : rest_(text) {}
  std::string_view rest() const { return rest_; }
  bool done() const { return rest_.empty(); }

  // The next `count` characters, or all if there are fewer.
  std::string_view take(std::size_t count) {
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(taken.size());
    return taken;
  }

  bool take(std::string_view word) {
    const bool found = rest_.starts_with(word);
    rest_.remove_prefix(found ? word.size() : 0);
    return found;
  }

  template <typename Fits>
  std::string_view take_while(Fits fits) {
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), fits);
    return take(static_cast<std::size_t>(end - rest_.begin()));
  }

 private:
  std::string_view rest_;
};

}  // namespace trireme::comm::hierarchical
