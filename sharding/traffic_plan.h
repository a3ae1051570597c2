// How many bytes each rank sends in a step, before anything runs. Pure arithmetic.
//
// Counted as communicators count (Communicator::bytes_moved): a rank that reduces its slice of B bytes over n ranks
// gets (n - 1) / n B from the others for each part that a rank brings, and the result goes out again with (n - 1) / n
// B. With one aligned block of lanes a rank brings one part, and the volumes are those of Rajbhandari et al. (2020),
// section 7, with M = 4 P bytes: mirrored and stages 1 and 2 move 2 M (n - 1) / n, stage 3 moves 3 M (n - 1) / n. Where
// the ranks of a group share memory, parameters are mapped and nothing is gathered.
#pragma once

#include <cstdint>
#include <span>

#include "trireme/sharding/training_shape.h"

namespace trireme::sharding {

// Bytes of one rank and step; the few KiB of scalars (loss, norm, which parameters were used) are left out.
struct TrafficPlan {
  std::int64_t gradients_inside = 0;  // reduced in the shard group; mirrored: over all ranks
  std::int64_t gradients_across = 0;  // own rows, added over the replica group
  std::int64_t gathers = 0;           // parameters, of all passes

  std::int64_t total() const { return gradients_inside + gradients_across + gathers; }

  // Raises Error (usage) as MemoryPlan::make does.
  static TrafficPlan make(const TrainingShape& shape, std::span<const PlannedParameter> parameters);
};

}  // namespace trireme::sharding
