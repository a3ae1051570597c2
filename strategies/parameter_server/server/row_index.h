// RowIndex: from a row's number to its place among the rows that exist. Open addressing with linear probing: 12 bytes
// an entry, at most two thirds full.
#pragma once

#include <cstdint>
#include <vector>

namespace trireme::strategies::parameter_server {

class RowIndex {
 public:
  // The place of the row; -1: it does not exist.
  std::int32_t find(std::int64_t row) const;
  // The place of the row; a new one gets the next: 0, 1, 2, ... Raises Error for more than 2^31 - 1 rows.
  std::int32_t find_or_add(std::int64_t row);
  std::int64_t size() const { return size_; }

 private:
  std::size_t slot_of(std::int64_t row) const;
  void grow();

  std::vector<std::int64_t> rows_;  // a power of two; kEmpty: free
  std::vector<std::int32_t> places_;
  std::int64_t size_ = 0;
};

}  // namespace trireme::strategies::parameter_server
