#include "trireme/strategies/fully_sharded/reduction_steps.h"

#include <algorithm>

namespace trireme::strategies {

const ReductionSteps& ReductionStepsCache::of(const StepPlan& plan) {
  const auto found = std::ranges::find_if(steps_, [&](const ReductionSteps& steps) { return steps.plan == &plan; });
  if (found != steps_.end()) {
    return *found;
  }
  ReductionSteps steps = order_ == comm::ReduceOrder::fast ? make_fast() : make(plan);
  steps.plan = &plan;
  return steps_.emplace_back(std::move(steps));
}

ReductionSteps ReductionStepsCache::make(const StepPlan& plan) const {
  if (groups_.groups() > 1) {
    return make_hybrid(plan);
  }
  InsideReduction all{{0, plan.split.leaves()}, {}, plan.layout};
  for (std::size_t level = 0; level < plan.lanes.parts.size(); ++level) {
    all.parts.push_back({plan.lanes.parts[level], level});
  }
  return {nullptr, {std::move(all)}, nullptr};
}

// Each rank brings one sum, of all its lanes, as if it were one lane.
ReductionSteps ReductionStepsCache::make_fast() const {
  const int place = groups_.place_of(rank_);
  std::vector<std::vector<Subtree>> leaf_of_place;
  for (int other = 0; other < groups_.group_size; ++other) {
    leaf_of_place.push_back({{other, other + 1}});
  }
  InsideReduction all{{0, groups_.group_size},
                      {{{place, place + 1}, 0}},
                      comm::ReductionLayout::make(groups_.group_size, std::move(leaf_of_place))};
  return {nullptr, {std::move(all)}, nullptr};
}

ReductionSteps ReductionStepsCache::make_hybrid(const StepPlan& plan) const {
  auto two = sharding::TwoLevelReduction::make(plan.split, groups_, groups_.group_of(rank_));
  const auto place = static_cast<std::size_t>(groups_.place_of(rank_));
  ReductionSteps steps;
  for (sharding::GroupReduction& group : two.inside) {
    InsideReduction inside{group.subtree, {}, nullptr};
    for (const Subtree part : group.parts_of_place[place]) {
      const auto level = std::ranges::find(plan.lanes.parts, part) - plan.lanes.parts.begin();
      inside.parts.push_back({part, static_cast<std::size_t>(level)});
    }
    inside.layout = comm::ReductionLayout::make(two.leaves, std::move(group.parts_of_place));
    steps.inside.push_back(std::move(inside));
  }
  steps.across = comm::ReductionLayout::make(two.leaves, std::move(two.of_groups));
  return steps;
}

}  // namespace trireme::strategies
