#include "trireme/sharding/memory_plan.h"

#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/core/optim/rows.h"
#include "trireme/sharding/hybrid_groups.h"

namespace trireme::sharding {
namespace {

constexpr std::int64_t kMasterBytes = 4;  // parameters that the optimizer moves, its states, gradients: f32

// What the first place of a shard group, which never has less than another, keeps of all units.
struct Shard {
  std::int64_t elements = 0;
  std::int64_t gradient_elements = 0;
  std::int64_t state_elements = 0;
};

Shard shard_of(const UnitPlan& plan, std::span<const PlannedParameter> parameters, const OptimizerStates& states) {
  Shard shard;
  for (const Unit& unit : plan.units) {
    shard.elements += UnitPlan::shard_elements(unit, 0);
    shard.gradient_elements += UnitPlan::shard_gradient_elements(unit, 0);
    for (const UnitParameter& parameter : unit.parameters) {
      const std::int64_t own = parameter.row_offsets[1];
      const std::int64_t row = std::max<std::int64_t>(1, optim::row_length(parameters[parameter.index].shape));
      shard.state_elements += states.per_element * own + states.per_row * (own / row);
    }
  }
  return shard;
}

class Maker {
 public:
  Maker(const TrainingShape& shape, std::span<const PlannedParameter> parameters)
      : shape_(shape),
        units_(units_of(shape, parameters)),
        group_(shape.zero_stage == 0 ? 1 : HybridGroups::make(shape.world_size, shape.shard_group).group_size),
        shard_(shard_of(units_, parameters, shape.states)) {}

  MemoryPlan make(const StepMemory& step) {
    everywhere(MemoryKind::parameters, parameters());
    everywhere(MemoryKind::gradients, kMasterBytes * gradients());
    everywhere(MemoryKind::optimizer_state, kMasterBytes * shard_.state_elements);
    everywhere(MemoryKind::lane_partials, kMasterBytes * lane_partials());
    set(MemoryKind::unit_parameters, MemoryPhase::forward, unit_parameters());
    set(MemoryKind::unit_parameters, MemoryPhase::backward, unit_parameters());
    set(MemoryKind::unit_gradients, MemoryPhase::backward, kMasterBytes * unit_gradients());
    set(MemoryKind::activations, MemoryPhase::forward, step.forward_peak);
    set(MemoryKind::activations, MemoryPhase::backward, step.backward_peak);
    for (std::size_t phase = 0; phase < kMemoryPhases; ++phase) {  // freed blocks stay with the allocator
      const auto which = static_cast<MemoryPhase>(phase);
      const std::int64_t free = step.reserved - plan_.at(MemoryKind::activations, which);
      set(MemoryKind::other, which, step.other + std::max<std::int64_t>(0, free));
    }
    return plan_;
  }

 private:
  // Stage 1 does where partial sums wait in them, or a rank owns all rows.
  bool keeps_whole_gradients() const {
    return shape_.zero_stage == 0 || (shape_.zero_stage == 1 && (most_partials_of_rank(shape_) > 1 || group_ == 1));
  }
  // Reduced rows are a part of whole gradients, unless these are sent in another dtype.
  std::int64_t gradients() const {
    const bool apart = !keeps_whole_gradients() || shape_.reduced_bytes != kMasterBytes;
    return (keeps_whole_gradients() ? units_.gradient_elements() : 0) + (apart ? shard_.gradient_elements : 0);
  }
  // Masters are what forward reads, unless that is narrower or on a device.
  std::int64_t masters() const {
    return shape_.separate_masters || shape_.parameter_bytes != kMasterBytes ? kMasterBytes * shard_.elements : 0;
  }

  std::int64_t parameters() const {
    const bool keeps_rows = shape_.mapped || shape_.zero_stage == 3;
    return shape_.parameter_bytes * (keeps_rows ? shard_.elements : units_.elements()) + masters();
  }

  std::int64_t unit_parameters() const {
    if (shape_.zero_stage < 3 || shape_.mapped) {
      return 0;
    }
    const std::int64_t below_root = units_.elements() - units_.units[0].elements;
    const std::int64_t stays = shape_.reshard_group == 1 ? units_.elements() : 0;
    const std::int64_t kept = shape_.reshard_group > 1 ? below_root / shape_.reshard_group : 0;
    return shape_.parameter_bytes * std::max(stays, units_.pooled_elements() + kept);
  }

  std::int64_t unit_gradients() const { return keeps_whole_gradients() ? 0 : units_.pooled_gradient_elements(); }

  // The running leaf writes where the reduced gradient or a unit's buffer is; each other sum on the stack is whole. A
  // group whose leaves are several nodes of the lane tree has its rows of each until the groups have added them.
  std::int64_t lane_partials() const {
    std::int64_t elements = (most_partials_of_rank(shape_) - 1) * units_.gradient_elements();
    if (shape_.zero_stage > 0 && group_ < shape_.world_size) {
      const HybridGroups groups{shape_.world_size, group_};
      std::size_t nodes = 1;
      for (int group = 0; group < groups.groups(); ++group) {
        nodes = std::max(nodes, subtrees_of_group(shape_.split, groups, group).size());
      }
      elements += static_cast<std::int64_t>(nodes - 1) * shard_.gradient_elements;
    }
    return elements;
  }

  void set(MemoryKind kind, MemoryPhase phase, std::int64_t bytes) {
    plan_.bytes[static_cast<std::size_t>(kind)][static_cast<std::size_t>(phase)] = bytes;
  }
  void everywhere(MemoryKind kind, std::int64_t bytes) { plan_.bytes[static_cast<std::size_t>(kind)].fill(bytes); }

  const TrainingShape& shape_;
  UnitPlan units_;
  int group_;
  Shard shard_;
  MemoryPlan plan_;
};

}  // namespace

std::string_view name_of(MemoryKind kind) {
  constexpr std::array<std::string_view, kMemoryKinds> kNames = {
      "parameters",      "gradients",      "optimizer state", "lane partial sums",
      "unit parameters", "unit gradients", "activations",     "program, data, allocator"};
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view name_of(MemoryPhase phase) {
  constexpr std::array<std::string_view, kMemoryPhases> kNames = {"between steps", "forward", "backward", "update"};
  return kNames[static_cast<std::size_t>(phase)];
}

std::int64_t MemoryPlan::total(MemoryPhase phase) const {
  std::int64_t sum = 0;
  for (const auto& kind : bytes) {
    sum += kind[static_cast<std::size_t>(phase)];
  }
  return sum;
}

std::int64_t MemoryPlan::most_of(MemoryKind kind) const {
  return *std::ranges::max_element(bytes[static_cast<std::size_t>(kind)]);
}

std::int64_t MemoryPlan::persistent() const {
  return at(MemoryKind::parameters, MemoryPhase::between_steps) +
         at(MemoryKind::gradients, MemoryPhase::between_steps) +
         at(MemoryKind::optimizer_state, MemoryPhase::between_steps);
}

MemoryPhase MemoryPlan::peak_phase() const {
  MemoryPhase most = MemoryPhase::between_steps;
  for (std::size_t i = 1; i < kMemoryPhases; ++i) {
    most = total(static_cast<MemoryPhase>(i)) > total(most) ? static_cast<MemoryPhase>(i) : most;
  }
  return most;
}

std::int64_t MemoryPlan::peak() const { return total(peak_phase()); }

MemoryPlan MemoryPlan::make(const TrainingShape& shape, std::span<const PlannedParameter> parameters,
                            const StepMemory& step) {
  require_usage(shape.zero_stage >= 0 && shape.zero_stage <= 3, "memory plan: ZeRO stage {} given, 0 to 3 expected",
                shape.zero_stage);
  return Maker(shape, parameters).make(step);
}

}  // namespace trireme::sharding
