#include "trireme/strategies/step_plans.h"

#include <algorithm>

namespace trireme::strategies {

const StepPlan& StepPlans::of(const BatchSplit& split) {
  const auto found =
      std::find_if(plans_.begin(), plans_.end(), [&](const StepPlan& plan) { return plan.split == split; });
  if (found != plans_.end()) {
    return *found;
  }
  return plans_.emplace_back(StepPlan{split, sharding::LanePlan::make(split, rank_, world_size_),
                                      comm::ReductionLayout::make(split, world_size_)});
}

}  // namespace trireme::strategies
