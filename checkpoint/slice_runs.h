// Where the elements of a whole tensor lie in one of its slices. Pure arithmetic, no I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "trireme/checkpoint/index.h"

namespace trireme::checkpoint {

// Elements that are neighbours both in the whole tensor and in the slice (row-major).
struct SliceRun {
  std::uint64_t in_tensor = 0;  // the first one, counted in the whole tensor
  std::uint64_t in_slice = 0;   // the same one, counted in the slice
  std::uint64_t elements = 0;
};

// Calls `use` for what the slice has of the elements [begin, end) of its tensor, in order. A slice of rows is one run;
// one that is cut along another dim is a run for each of its lines.
void for_each_run(const SavedSlice& slice, std::span<const std::int64_t> tensor_shape, std::uint64_t begin,
                  std::uint64_t end, const std::function<void(const SliceRun&)>& use);

}  // namespace trireme::checkpoint
