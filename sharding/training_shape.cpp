#include "trireme/sharding/training_shape.h"

#include <algorithm>

#include "trireme/sharding/hybrid_groups.h"
#include "trireme/sharding/lane_plan.h"

namespace trireme::sharding {

std::int64_t most_leaves_of_rank(const TrainingShape& shape) {
  return shape.split.leaves_of(0, shape.world_size).size();
}

std::int64_t most_partials_of_rank(const TrainingShape& shape) {
  std::int64_t most = 1;
  for (int rank = 0; rank < shape.world_size; ++rank) {
    most = std::max<std::int64_t>(most, LanePlan::make(shape.split, rank, shape.world_size).depth);
  }
  return most;
}

UnitPlan units_of(const TrainingShape& shape, std::span<const PlannedParameter> parameters) {
  const int group = shape.zero_stage == 0 ? 1 : HybridGroups::make(shape.world_size, shape.shard_group).group_size;
  return UnitPlan::make(parameters, group);
}

}  // namespace trireme::sharding
