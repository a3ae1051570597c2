// What a rank does in a step, for the few ways in which a run cuts its batches (full ones, an epoch's short last one).
#pragma once

#include <list>
#include <memory>

#include "trireme/comm/communicator.h"
#include "trireme/sharding/lane_plan.h"

namespace trireme::strategies {

struct StepPlan {
  BatchSplit split;
  sharding::LanePlan lanes;                             // of this rank
  std::shared_ptr<const comm::ReductionLayout> layout;  // of all ranks
};

// Makes plans on first use and keeps them: references stay valid for the cache's life.
class StepPlans {
 public:
  StepPlans(int rank, int world_size) : rank_(rank), world_size_(world_size) {}
  const StepPlan& of(const BatchSplit& split);

 private:
  int rank_;
  int world_size_;
  std::list<StepPlan> plans_;
};

}  // namespace trireme::strategies
