#include "trireme/sharding/traffic_plan.h"

#include <algorithm>

#include "trireme/sharding/hybrid_groups.h"

namespace trireme::sharding {
namespace {

// What of `bytes` lies with the other ranks of n.
std::int64_t others(std::int64_t bytes, std::int64_t n) { return bytes / n * (n - 1); }

std::int64_t most_parts(const std::vector<std::vector<Subtree>>& parts_of_rank) {
  std::size_t most = 0;
  for (const std::vector<Subtree>& parts : parts_of_rank) {
    most = std::max(most, parts.size());
  }
  return static_cast<std::int64_t>(most);
}

class Maker {
 public:
  Maker(const TrainingShape& shape, std::span<const PlannedParameter> parameters)
      : shape_(shape),
        units_(units_of(shape, parameters)),
        groups_(shape.zero_stage == 0 ? HybridGroups{shape.world_size, shape.world_size}
                                      : HybridGroups::make(shape.world_size, shape.shard_group)) {}

  TrafficPlan make() const {
    TrafficPlan plan;
    if (shape_.zero_stage == 0) {
      plan.gradients_inside = (parts_inside() + 1) * others(gradient_bytes(), shape_.world_size);
      return plan;
    }
    plan.gradients_inside = parts_inside() * others(gradient_bytes(), groups_.group_size);
    if (groups_.groups() > 1) {
      const std::int64_t parts =
          shape_.fast_order ? 1 : most_parts(TwoLevelReduction::make(shape_.split, groups_, 0).of_groups);
      plan.gradients_across = (parts + 1) * others(shape_.reduced_bytes * own_gradient_elements(), groups_.groups());
    }
    plan.gathers = gathers();
    return plan;
  }

 private:
  std::int64_t gradient_bytes() const { return shape_.reduced_bytes * units_.gradient_elements(); }

  // Parts that cross the group, over all its reductions: each brings the most that any rank has.
  std::int64_t parts_inside() const {
    if (shape_.fast_order) {
      return 1;
    }
    std::int64_t most = 0;
    for (int group = 0; group < groups_.groups(); ++group) {
      std::int64_t parts = 0;
      for (const GroupReduction& inside : TwoLevelReduction::make(shape_.split, groups_, group).inside) {
        parts += most_parts(inside.parts_of_place);
      }
      most = std::max(most, parts);
    }
    return most;
  }

  std::int64_t own_gradient_elements() const {
    std::int64_t elements = 0;
    for (const Unit& unit : units_.units) {
      elements += UnitPlan::shard_gradient_elements(unit, 0);
    }
    return elements;
  }

  std::int64_t gathers() const {
    if (shape_.mapped) {
      return 0;
    }
    const std::int64_t all = others(shape_.parameter_bytes * units_.elements(), groups_.group_size);
    if (shape_.zero_stage < 3) {
      return all;  // once, after the update
    }
    // The root stays whole through both passes, and the last unit from its forward to its backward.
    const std::int64_t last = units_.units.size() > 1 ? units_.units.back().elements : 0;
    const std::int64_t below_root = shape_.parameter_bytes * (units_.elements() - units_.units[0].elements - last);
    const std::int64_t again = shape_.reshard_group == 0 ? groups_.group_size : shape_.reshard_group;
    return most_leaves_of_rank(shape_) * (all + others(below_root, again));
  }

  const TrainingShape& shape_;
  UnitPlan units_;
  HybridGroups groups_;
};

}  // namespace

TrafficPlan TrafficPlan::make(const TrainingShape& shape, std::span<const PlannedParameter> parameters) {
  return Maker(shape, parameters).make();
}

}  // namespace trireme::sharding
