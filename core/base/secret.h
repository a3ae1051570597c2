// Comparing secrets.
#pragma once

#include <string_view>

namespace trireme {

// Takes the same time for every text of the right length, so that it tells nobody how much of a guess was right.
inline bool equal_secrets(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i] ^ b[i]);
  }
  return difference == 0;
}

}  // namespace trireme
