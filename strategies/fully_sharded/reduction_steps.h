// How the gradients of a step are reduced to the rows of their owners: one level, or two with hybrid sharding. Made
// once for each way in which batches are cut, and kept.
#pragma once

#include <list>
#include <memory>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/sharding/hybrid_groups.h"
#include "trireme/strategies/step_plans.h"

namespace trireme::strategies {

// One reduce_scatter_parts inside the shard group: the value of one node of the lane tree.
struct InsideReduction {
  struct Part {
    Subtree subtree;
    std::size_t level;  // on this rank's stack of partial sums
  };
  Subtree node;
  std::vector<Part> parts;  // of this rank
  std::shared_ptr<const comm::ReductionLayout> layout;
};

struct ReductionSteps {
  const StepPlan* plan = nullptr;
  std::vector<InsideReduction> inside;                  // one; with hybrid sharding any number, or none
  std::shared_ptr<const comm::ReductionLayout> across;  // canonical: the nodes of all groups; null on one level
};

class ReductionStepsCache {
 public:
  ReductionStepsCache(const sharding::HybridGroups& groups, int rank, comm::ReduceOrder order)
      : groups_(groups), rank_(rank), order_(order) {}
  // References stay valid. `plan` must too.
  const ReductionSteps& of(const StepPlan& plan);

 private:
  ReductionSteps make(const StepPlan& plan) const;
  ReductionSteps make_fast() const;
  ReductionSteps make_hybrid(const StepPlan& plan) const;

  sharding::HybridGroups groups_;
  int rank_;
  comm::ReduceOrder order_;
  std::list<ReductionSteps> steps_;
};

}  // namespace trireme::strategies
