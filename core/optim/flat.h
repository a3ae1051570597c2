// How an update is cut into pieces: tiles of fixed size for dense parameters, the touched rows for sparse ones. For the
// sources of this folder.
#pragma once

#include <algorithm>

#include "trireme/core/base/parallel.h"
#include "trireme/core/optim/optimizer.h"
#include "trireme/core/optim/rows.h"

namespace trireme::optim {

inline constexpr std::int64_t kUpdateTile = 16 << 10;  // elements: a few hundred KiB of traffic

// Rows of a large table are in no cache: asks for one of the slot's value and states. Of long rows the processor's own
// prefetching brings the rest.
inline void prefetch_row(const Slot& slot, std::int64_t row, std::int64_t length) {
  constexpr std::int64_t kLine = 16;
  for (std::int64_t i = 0; i < std::min(length, 4 * kLine); i += kLine) {
    __builtin_prefetch(slot.value.data<float>() + row * length + i, 1);
  }
  for (const Array& state : slot.state) {
    const std::int64_t own = state.count() == slot.value.count() ? length : 1;
    for (std::int64_t i = 0; i < std::min(own, 4 * kLine); i += kLine) {
      __builtin_prefetch(state.data<float>() + row * own + i, 1);
    }
  }
}

// Calls update(gradient_row, row), in rows of the gradient's values and of the slot, on the threads of parallel_for:
// for all rows of the slot, or for those that the gradient names.
template <class Update>
void for_each_row(const Slot& slot, const Gradient& gradient, const Update& update) {
  const std::int64_t length = row_length(slot.shape);
  const std::int64_t tile = std::max<std::int64_t>(1, kUpdateTile / length);
  if (!gradient.rows.defined()) {
    parallel_for(slot.value.count() / length, tile, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        update(row, row);
      }
    });
    return;
  }
  constexpr std::int64_t kAhead = 8;  // rows
  const std::int64_t* rows = gradient.rows.rows.data<std::int64_t>();
  const std::int64_t first = slot.first / length;
  parallel_for(gradient.rows.count(), tile, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (i + kAhead < end) {
        prefetch_row(slot, rows[i + kAhead] - first, length);
      }
      update(i, rows[i] - first);
    }
  });
}

// Calls update(gradient_begin, begin, count), in elements of the gradient's values and of the slot, likewise: for a
// sparse slot a row at a time. A dense slot need not be whole rows.
template <class Update>
void for_each_piece(const Slot& slot, const Gradient& gradient, const Update& update) {
  if (!gradient.rows.defined()) {
    parallel_for(slot.value.count(), kUpdateTile,
                 [&](std::int64_t begin, std::int64_t end) { update(begin, begin, end - begin); });
    return;
  }
  const std::int64_t length = row_length(slot.shape);
  for_each_row(slot, gradient,
               [&](std::int64_t from, std::int64_t row) { update(from * length, row * length, length); });
}

}  // namespace trireme::optim
