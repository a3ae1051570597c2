// How a job trains, as far as its memory and traffic depend on it: the input of memory_plan.h and traffic_plan.h.
#pragma once

#include <cstdint>
#include <span>

#include "trireme/core/base/batch_split.h"
#include "trireme/sharding/unit_plan.h"

namespace trireme::sharding {

// Elements of 4 bytes that an optimizer keeps: AdamW {2, 0}, SGD with momentum {1, 0} and without {0, 0}, Adagrad
// {1, 0}, row-wise Adagrad {0, 1}.
struct OptimizerStates {
  std::int64_t per_element = 0;
  std::int64_t per_row = 0;  // of a parameter of one dim for each element
};

struct TrainingShape {
  int world_size = 1;
  BatchSplit split = {};  // of a full batch: lanes and micro-batches
  int zero_stage = 0;     // 0: mirrored; 1: optimizer state sharded; 2: gradients too; 3: parameters too
  int shard_group = 0;    // ranks that share the rows; 0: all
  // The ranks of a shard group map the same memory: nothing is gathered, a page counts once, for its owner.
  bool mapped = false;
  // How many ranks a unit's parameters are spread over between its forward and its backward (stage 3, not mapped):
  // 0: the whole shard group (--reshard-after-forward true), 1: they stay whole (false), else so many (N).
  int reshard_group = 0;
  std::int64_t parameter_bytes = 4;  // of an element that forward and backward read; masters are always f32
  std::int64_t reduced_bytes = 4;    // of an element of a gradient on its way to another rank (--reduce-dtype, fast)
  bool separate_masters = false;     // masters lie apart even if both are f32 (--cpu-offload)
  bool fast_order = false;           // --reduce-order fast: a rank brings one sum, whatever the lane tree says
  OptimizerStates states = {};
};

// Leaves that the rank with the most of them runs one after another, and the most partial gradients it keeps at once,
// the running leaf's included (LanePlan::depth). It is rank 0: larger shares go to the first ranks.
std::int64_t most_leaves_of_rank(const TrainingShape& shape);
std::int64_t most_partials_of_rank(const TrainingShape& shape);

// The units of the parameters, cut for the job's shard groups.
UnitPlan units_of(const TrainingShape& shape, std::span<const PlannedParameter> parameters);

}  // namespace trireme::sharding
