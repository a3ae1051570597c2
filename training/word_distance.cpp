#include "trireme/training/word_distance.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace trireme::training {
namespace {

// Levenshtein's edit distance, one row at a time.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string did_you_mean(std::string_view given, const std::vector<std::string>& known) {
  given = given.substr(0, given.find('='));
  std::string_view best;
  std::size_t least = given.size() / 3 + 1;  // farther away is no help
  for (const std::string& word : known) {
    const std::size_t distance = edit_distance(given, word);
    if (distance < least) {
      least = distance;
      best = word;
    }
  }
  return best.empty() ? std::string() : ", did you mean " + std::string(best) + "?";
}

}  // namespace trireme::training
