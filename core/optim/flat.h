// How an update is cut into pieces: tiles of fixed size for dense parameters, runs of touched rows for sparse ones.
// For the sources of this folder.
#pragma once

#include <algorithm>

#include "trireme/core/base/parallel.h"
#include "trireme/core/optim/optimizer.h"
#include "trireme/core/optim/rows.h"

namespace trireme::optim {

inline constexpr std::int64_t kUpdateTile = 16 << 10;  // elements: a few hundred KiB of traffic

// Calls update(first_row, last_row) on the threads of parallel_for for all rows of the slot; of a sparse one only for
// those that the gradient touched.
template <class Update>
void for_each_row_piece(const Slot& slot, const Array& gradient, const Update& update) {
  const std::int64_t row = row_length(slot.shape);
  const float* values = gradient.data<float>();
  parallel_for(slot.value.count() / row, std::max<std::int64_t>(1, kUpdateTile / row),
               [&](std::int64_t begin, std::int64_t end) {
                 if (slot.sparse) {
                   for_each_touched(values, row, begin, end, update);
                 } else {
                   update(begin, end);
                 }
               });
}

// Calls update(begin, end), in elements of the slot, likewise; a dense slot need not be whole rows.
template <class Update>
void for_each_piece(const Slot& slot, const Array& gradient, const Update& update) {
  if (!slot.sparse) {
    parallel_for(slot.value.count(), kUpdateTile, update);
    return;
  }
  const std::int64_t row = row_length(slot.shape);
  for_each_row_piece(slot, gradient, [&](std::int64_t begin, std::int64_t end) { update(begin * row, end * row); });
}

}  // namespace trireme::optim
