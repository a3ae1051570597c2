#include "trireme/strategies/parameter_server/server/row_index.h"

#include <limits>

#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server {
namespace {

constexpr std::int64_t kEmpty = -1;
constexpr std::size_t kFirstSlots = 1024;

// Fibonacci hashing, with the upper bits brought down: rows of one batch are often neighbours.
std::size_t hashed(std::int64_t row) {
  const std::uint64_t product = static_cast<std::uint64_t>(row) * 0x9E3779B97F4A7C15u;
  return static_cast<std::size_t>(product ^ product >> 32);
}

}  // namespace

// Of the row, or the free one where it would go.
std::size_t RowIndex::slot_of(std::int64_t row) const {
  const std::size_t mask = rows_.size() - 1;
  std::size_t slot = hashed(row) & mask;
  while (rows_[slot] != kEmpty && rows_[slot] != row) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

std::int32_t RowIndex::find(std::int64_t row) const {
  if (rows_.empty()) {
    return -1;
  }
  const std::size_t slot = slot_of(row);
  return rows_[slot] == row ? places_[slot] : -1;
}

std::int32_t RowIndex::find_or_add(std::int64_t row) {
  if (3 * (static_cast<std::size_t>(size_) + 1) > 2 * rows_.size()) {
    grow();
  }
  const std::size_t slot = slot_of(row);
  if (rows_[slot] != row) {
    require(size_ < std::numeric_limits<std::int32_t>::max(), "sparse table: {} rows on one server; use more servers",
            size_);
    rows_[slot] = row;
    places_[slot] = static_cast<std::int32_t>(size_++);
  }
  return places_[slot];
}

void RowIndex::grow() {
  std::vector<std::int64_t> old_rows(rows_.empty() ? kFirstSlots : 2 * rows_.size(), kEmpty);
  std::vector<std::int32_t> old_places(old_rows.size());
  old_rows.swap(rows_);
  old_places.swap(places_);
  for (std::size_t i = 0; i < old_rows.size(); ++i) {
    if (old_rows[i] != kEmpty) {
      const std::size_t slot = slot_of(old_rows[i]);
      rows_[slot] = old_rows[i];
      places_[slot] = old_places[i];
    }
  }
}

}  // namespace trireme::strategies::parameter_server
