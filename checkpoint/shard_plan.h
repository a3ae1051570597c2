// What one rank's file of a checkpoint will hold: a pure function of the state's names and shapes, so that whoever
// writes one (a running job from memory, `trireme ckpt convert` from other files) writes the same.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "trireme/checkpoint/safetensors.h"
#include "trireme/sharding/state.h"

namespace trireme::checkpoint {

struct ShardPart {
  std::size_t tensor = 0;  // position in the state
  std::int64_t row = 0;    // the first one, of the whole tensor
  std::int64_t rows = 0;
  std::uint64_t begin = 0;  // in the file
};
struct ShardPlan {
  std::vector<ShardPart> parts;  // in the order of the file
  PlannedFile file;              // its begins are those of the parts in the order of the state
};
// Raises Error for a state that cannot be saved. Values are not looked at.
ShardPlan plan_shard(std::span<const sharding::StateTensor> tensors, std::int64_t step, int rank, int world_size);

}  // namespace trireme::checkpoint
