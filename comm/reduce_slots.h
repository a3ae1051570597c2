// Reduces whole slots (the arrays that all ranks bring) in the order of a plan, without a copy of any of them.
#pragma once

#include <span>
#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::comm {

struct SlotReduction {
  DType dtype = DType::f32;
  ReduceOp op = ReduceOp::sum;
  std::span<const Addition> plan;             // over the sources; its result is that of the last addition's target
  std::span<const std::byte* const> sources;  // [slot]: the first element to reduce
  std::span<std::byte* const> outputs;        // each gets the result; one may be a source
};

// Reduces `count` elements. An element's bits do not depend on `count` or on where the slots begin. Halves are combined
// in f32 and rounded once. Without sources the outputs become zero. Allocates nothing in the steady state; any thread.
void reduce_slots(const SlotReduction& reduction, std::int64_t count);

}  // namespace trireme::comm
