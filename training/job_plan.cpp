#include "trireme/training/job_plan.h"

#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/sharding/hybrid_groups.h"
#include "trireme/sharding/shard_rows.h"
#include "trireme/strategies/planned_parameters.h"
#include "trireme/training/message_memory.h"
#include "trireme/training/process_stats.h"
#include "trireme/training/strategy_options.h"

namespace trireme::training {
namespace {

// Packed panels of matrix products, rows of attention scores, patches of convolutions: kept by each thread.
constexpr std::int64_t kKernelScratch = 4 << 20;
constexpr std::int64_t kBatchesAlive = 3;  // the one in use, and those that a loader makes ahead

// Whether the ranks of a shard group are processes of one host that share memory.
bool maps_parameters(const ProgramOptions& options, const PlannedWorld& world, int group) {
  const bool shares = options.backend == "auto" || options.backend == "shm" || options.backend == "hierarchical";
  return world.ranks == 1 || (shares && world.ranks_per_node % group == 0);
}

sharding::TrainingShape shape_of(const ProgramOptions& options, const PlannedWorld& world,
                                 const optim::Optimizer& optimizer) {
  sharding::TrainingShape shape;
  if (options.strategy == "fully_sharded") {
    const strategies::FullyShardedOptions sharded = fully_sharded_options(options);
    const int group = sharding::HybridGroups::make(world.ranks, sharded.shard_group).group_size;
    shape = strategies::FullySharded::shape_of(sharded, world.ranks, maps_parameters(options, world, group));
  } else {
    shape = strategies::Mirrored::shape_of(mirrored_options(options));
  }
  shape.world_size = world.ranks;
  shape.split = {options.lanes_or(world.default_lanes), options.accumulate, options.global_batch};
  shape.states =
      options.strategy == "parameter_server" ? sharding::OptimizerStates{} : strategies::states_of(optimizer);
  return shape;
}

// The copy that the first rank writes its checkpoints from: rows of the masters and of the optimizer's state, which all
// ranks share however they train.
std::int64_t snapshot_bytes(const ProgramOptions& options, const sharding::TrainingShape& shape,
                            std::span<const sharding::PlannedParameter> parameters) {
  if (options.checkpoint_dir.empty()) {
    return 0;
  }
  std::int64_t elements = 0;
  for (const sharding::PlannedParameter& parameter : parameters) {
    const std::int64_t rows = sharding::row_count(parameter.shape);
    const std::int64_t row = rows == 0 ? 0 : parameter.shape.count() / rows;
    const std::int64_t states_of_row = shape.states.per_element * row + shape.states.per_row;
    elements += (rows + shape.world_size - 1) / shape.world_size * (row + states_of_row);
  }
  return elements * static_cast<std::int64_t>(sizeof(float));
}

}  // namespace

JobPlan make_job_plan(const ProgramOptions& options, const PlannedWorld& world, const nn::Module& model,
                      const optim::Optimizer& optimizer, const StepFormula& step) {
  check_batch_split(options, world.ranks, world.default_lanes);
  JobPlan plan{.world = world, .shape = shape_of(options, world, optimizer)};
  for (const nn::NamedParameter& parameter : model.parameters()) {
    plan.parameters += parameter.tensor.count();
  }
  plan.items_per_leaf = plan.shape.split.items_of(0);
  const int sharers = options.backend == "local" ? world.ranks : 1;  // threads of one process
  sharding::StepMemory memory{.other = resident_bytes() / sharers + options.threads * kKernelScratch +
                                       kBatchesAlive * plan.items_per_leaf * step.bytes_per_item};
  if (step.activations) {
    const ActivationMemory activations = step.activations(plan.items_per_leaf);
    memory.forward_peak = activations.forward_peak;
    memory.backward_peak = activations.backward_peak;
    memory.reserved = activations.reserved;
  }
  const std::vector<sharding::PlannedParameter> parameters = options.strategy == "parameter_server"
                                                                 ? strategies::planned_on_worker(model)
                                                                 : strategies::planned_parameters(model);
  memory.other +=
      message_memory(options.backend, world, plan.shape, parameters) + snapshot_bytes(options, plan.shape, parameters);
  plan.memory = sharding::MemoryPlan::make(plan.shape, parameters, memory);
  plan.traffic = sharding::TrafficPlan::make(plan.shape, parameters);
  return plan;
}

}  // namespace trireme::training
