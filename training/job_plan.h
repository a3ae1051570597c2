// What a job will take, before anything is allocated: memory of each rank by kind and phase, traffic, and what to
// change if it does not fit. The formulas are in sharding/memory_plan.h and traffic_plan.h; here is what options, model
// and optimizer put into them.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "trireme/core/autograd/memory_trace.h"
#include "trireme/core/base/memory_limit.h"
#include "trireme/core/nn/module.h"
#include "trireme/core/optim/optimizer.h"
#include "trireme/sharding/memory_plan.h"
#include "trireme/sharding/traffic_plan.h"
#include "trireme/training/program_options.h"

namespace trireme::training {

// What only the program knows of a step.
struct StepFormula {
  // Activations of a micro-batch of so many items, as the model is set when it is called (activation checkpointing);
  // empty: not known, and not counted.
  std::function<ActivationMemory(std::int64_t items)> activations = {};
  std::int64_t bytes_per_item = 0;  // of a batch
};

struct PlannedWorld {
  int ranks = 1;
  int ranks_per_node = 1;
  std::int64_t default_lanes = 1;
};

struct JobPlan {
  PlannedWorld world;
  sharding::TrainingShape shape;
  std::int64_t parameters = 0;      // elements
  std::int64_t items_per_leaf = 0;  // of the largest micro-batch
  sharding::MemoryPlan memory = {};
  sharding::TrafficPlan traffic = {};

  std::int64_t bytes_per_node() const { return memory.peak() * world.ranks_per_node; }
};

// Raises Error (usage) for what cannot be. The model is not touched, nothing of its size allocated.
JobPlan make_job_plan(const ProgramOptions& options, const PlannedWorld& world, const nn::Module& model,
                      const optim::Optimizer& optimizer, const StepFormula& step);

// One way to need less, or several at once, with what comes of it.
struct Remedy {
  std::string change;  // "--zero-stage 3", as words of a command line
  std::int64_t bytes_per_rank = 0;
  std::int64_t bytes_per_node = 0;
};

// What could be changed, cheapest first; only what helps. Sets and resets activation checkpointing of the model.
std::vector<Remedy> remedies_of(const ProgramOptions& options, const PlannedWorld& world, nn::Module& model,
                                const optim::Optimizer& optimizer, const StepFormula& step);

// The plan as `trireme plan --json` shows it: one object on one line. `limit`: of a node.
std::string json_of(const JobPlan& plan, const ProgramOptions& options, bool activations_known,
                    const MemoryLimit& limit, const std::vector<Remedy>& remedies);

}  // namespace trireme::training
