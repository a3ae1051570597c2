// json_of() of job_plan.h.
#include <nlohmann/json.hpp>

#include "trireme/core/base/host.h"
#include "trireme/training/job_plan.h"

namespace trireme::training {
namespace {

using nlohmann::ordered_json;

ordered_json memory_json(const sharding::MemoryPlan& plan) {
  ordered_json phases;
  for (std::size_t p = 0; p < sharding::kMemoryPhases; ++p) {
    const auto phase = static_cast<sharding::MemoryPhase>(p);
    ordered_json kinds;
    for (std::size_t k = 0; k < sharding::kMemoryKinds; ++k) {
      const auto kind = static_cast<sharding::MemoryKind>(k);
      kinds[std::string(name_of(kind))] = plan.at(kind, phase);
    }
    phases[std::string(name_of(phase))] = std::move(kinds);
  }
  return {{"phases", std::move(phases)},
          {"persistent_bytes", plan.persistent()},
          {"peak_bytes", plan.peak()},
          {"peak_phase", name_of(plan.peak_phase())}};
}

ordered_json traffic_json(const sharding::TrafficPlan& plan) {
  return {{"gradients_inside_bytes", plan.gradients_inside},
          {"gradients_across_bytes", plan.gradients_across},
          {"gathers_bytes", plan.gathers},
          {"total_bytes", plan.total()}};
}

}  // namespace

std::string json_of(const JobPlan& plan, const ProgramOptions& options, bool activations_known,
                    const MemoryLimit& limit, const std::vector<Remedy>& remedies) {
  const auto fits = [&](std::int64_t bytes) { return limit.bytes == 0 || bytes <= limit.bytes; };
  ordered_json ways = ordered_json::array();
  for (const Remedy& remedy : remedies) {
    ways.push_back({{"change", remedy.change},
                    {"bytes_per_rank", remedy.bytes_per_rank},
                    {"bytes_per_node", remedy.bytes_per_node},
                    {"fits", fits(remedy.bytes_per_node)}});
  }
  const ordered_json json = {{"strategy", options.strategy},
                             {"zero_stage", plan.shape.zero_stage},
                             {"shared_memory", plan.shape.mapped},
                             {"ranks", plan.world.ranks},
                             {"ranks_per_node", plan.world.ranks_per_node},
                             {"parameters", plan.parameters},
                             {"global_batch", options.global_batch},
                             {"lanes", plan.shape.split.lanes},
                             {"accumulate", plan.shape.split.accumulate},
                             {"leaves_per_rank", sharding::most_leaves_of_rank(plan.shape)},
                             {"items_per_leaf", plan.items_per_leaf},
                             {"activation_checkpointing", options.activation_checkpointing},
                             {"activations_known", activations_known},
                             {"memory", memory_json(plan.memory)},
                             {"traffic", traffic_json(plan.traffic)},
                             {"bytes_per_node", plan.bytes_per_node()},
                             {"host", host_name()},
                             {"limit_bytes", limit.bytes},
                             {"limit_cgroup", limit.cgroup},
                             {"fits", fits(plan.bytes_per_node())},
                             {"remedies", std::move(ways)}};
  return json.dump() + "\n";
}

}  // namespace trireme::training
