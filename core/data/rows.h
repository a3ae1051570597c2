// Copying chosen rows of an array held in memory. For the datasets of this folder.
#pragma once

#include <cstring>
#include <span>

#include "trireme/core/data/batch.h"

namespace trireme::data {

// out[i, ...] = source[items[i], ...] for a contiguous source of elements T.
template <class T>
void gather_rows(const Array& source, std::span<const std::int64_t> items, Array& out) {
  Shape shape = source.shape();
  shape[0] = static_cast<std::int64_t>(items.size());
  make_room(out, shape, source.dtype());
  const std::int64_t row = source.size(0) == 0 ? 0 : source.count() / source.size(0);
  const T* from = source.data<T>();
  T* to = out.data<T>();
  for (const std::int64_t item : items) {
    std::memcpy(to, from + item * row, static_cast<std::size_t>(row) * sizeof(T));
    to += row;
  }
}

}  // namespace trireme::data
