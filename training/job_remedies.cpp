// remedies_of() of job_plan.h: each change is planned like the job itself, so what it says is what would be.
#include <fmt/format.h>

#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/core/nn/units.h"
#include "trireme/training/job_plan.h"

namespace trireme::training {
namespace {

// A job with something changed.
struct Variant {
  std::string change;
  ProgramOptions options;
  PlannedWorld world;
};

class Search {
 public:
  Search(const Variant& start, nn::Module& model, const optim::Optimizer& optimizer, const StepFormula& step)
      : start_(start),
        model_(model),
        optimizer_(optimizer),
        step_(step),
        as_given_(plan(start).bytes_per_node()),
        least_(as_given_) {}

  // Keeps the variant if it can be and needs at least 1 % less on a node than the job; a combination must need less
  // than all others.
  void try_out(const Variant& variant, bool combination = false) {
    try {
      const JobPlan made = plan(variant);
      const std::int64_t most = combination ? least_ : as_given_ - as_given_ / 100;
      if (made.bytes_per_node() < most) {
        least_ = std::min(least_, made.bytes_per_node());
        found_.push_back({variant.change, made.memory.peak(), made.bytes_per_node()});
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::usage) {
        throw;
      }
    }
  }
  std::vector<Remedy> found() { return std::move(found_); }

 private:
  JobPlan plan(const Variant& variant) {
    nn::checkpoint_activations(model_, variant.options.activation_checkpointing);
    JobPlan made = make_job_plan(variant.options, variant.world, model_, optimizer_, step_);
    nn::checkpoint_activations(model_, start_.options.activation_checkpointing);
    return made;
  }

  const Variant& start_;
  nn::Module& model_;
  const optim::Optimizer& optimizer_;
  const StepFormula& step_;
  std::int64_t as_given_;  // bytes of a node
  std::int64_t least_;
  std::vector<Remedy> found_;
};

void append(Variant& variant, const std::string& words) {
  variant.change += (variant.change.empty() ? "" : " ") + words;
}

void shard(Variant& variant, std::int64_t stage) {
  append(variant, variant.options.strategy == "fully_sharded"
                      ? fmt::format("--zero-stage {}", stage)
                      : fmt::format("--strategy fully_sharded --zero-stage {}", stage));
  variant.options.strategy = "fully_sharded";
  variant.options.zero_stage = stage;
}

bool is_sharded_to(const Variant& variant, std::int64_t stage) {
  return variant.options.strategy == "fully_sharded" && variant.options.zero_stage >= stage;
}

void checkpoint(Variant& variant) {
  append(variant, "--activation-checkpointing");
  variant.options.activation_checkpointing = true;
}

// Micro-batches of a single item: the least that a leaf can be.
void accumulate_most(Variant& variant) {
  const std::int64_t lanes = variant.options.lanes_or(variant.world.default_lanes);
  variant.options.accumulate = variant.options.global_batch / lanes;
  append(variant, fmt::format("--accumulate {}", variant.options.accumulate));
}

void halve_batch(Variant& variant) {
  const std::int64_t leaves = variant.options.lanes_or(variant.world.default_lanes) * variant.options.accumulate;
  variant.options.global_batch = leaves * std::max<std::int64_t>(1, variant.options.global_batch / leaves / 2);
  append(variant, fmt::format("--global-batch {}", variant.options.global_batch));
}

void double_nodes(Variant& variant) {
  variant.world.ranks *= 2;
  variant.world.default_lanes *= 2;
  append(variant, fmt::format("--nnodes {}", variant.world.ranks / variant.world.ranks_per_node));
  const std::int64_t leaves = variant.options.lanes_or(variant.world.default_lanes) * variant.options.accumulate;
  if (variant.options.global_batch % leaves != 0) {
    variant.options.global_batch = (variant.options.global_batch / leaves + 1) * leaves;
    append(variant, fmt::format("--global-batch {}", variant.options.global_batch));
  }
}

}  // namespace

std::vector<Remedy> remedies_of(const ProgramOptions& options, const PlannedWorld& world, nn::Module& model,
                                const optim::Optimizer& optimizer, const StepFormula& step) {
  const Variant start{"", options, world};
  Search search(start, model, optimizer, step);
  const auto one = [&](auto&& change) {
    Variant variant = start;
    change(variant);
    search.try_out(variant);
  };
  for (const std::int64_t stage : {1, 2, 3}) {
    if (world.ranks > 1 && !is_sharded_to(start, stage)) {
      one([&](Variant& variant) { shard(variant, stage); });
    }
  }
  if (!options.activation_checkpointing) {
    one(checkpoint);
  }
  one(accumulate_most);
  one(halve_batch);
  one(double_nodes);
  Variant all = start;
  if (world.ranks > 1 && !is_sharded_to(all, 3)) {
    shard(all, 3);
  }
  if (!options.activation_checkpointing) {
    checkpoint(all);
  }
  search.try_out(all, true);
  accumulate_most(all);
  search.try_out(all, true);
  return search.found();
}

}  // namespace trireme::training
