#include "trireme/training/message_memory.h"

#include <algorithm>
#include <numeric>

#include "trireme/comm/hierarchical/host_layout.h"
#include "trireme/comm/message/large.h"
#include "trireme/sharding/hybrid_groups.h"
#include "trireme/strategies/mirrored/mirrored.h"

namespace trireme::training {
namespace {

constexpr auto kWide = static_cast<std::int64_t>(sizeof(float));  // what is added is f32
constexpr std::int64_t kMostInPiece = 1 << 20;                    // elements of an all_reduce over several hosts

// The most elements that are reduced together: a parameter, or a bucket of them.
std::int64_t most_together(const sharding::TrainingShape& shape,
                           std::span<const sharding::PlannedParameter> parameters) {
  std::int64_t most = 0;
  std::int64_t all = 0;
  for (const sharding::PlannedParameter& parameter : parameters) {
    const std::int64_t reduced = parameter.dense_gradient ? parameter.shape.count() : 0;
    most = std::max(most, reduced);
    all += reduced;
  }
  constexpr auto kBucket = static_cast<std::int64_t>(strategies::MirroredOptions{}.bucket_bytes / sizeof(float));
  return shape.zero_stage == 0 ? std::min(all, most + kBucket) : most;
}

// Gloo and MPI add up pieces in scratch memory.
std::int64_t network_scratch(const comm::ReductionLayout& layout, std::int64_t elements) {
  const auto slots = static_cast<std::size_t>(layout.slots());
  const auto own = static_cast<std::size_t>(layout.first_slot[1] - layout.first_slot[0]);
  const auto ranks = static_cast<std::int64_t>(layout.first_slot.size()) - 1;
  const auto slice = static_cast<std::size_t>((elements + ranks - 1) / ranks * kWide);
  return static_cast<std::int64_t>(comm::message::reduction_scratch(slice, slots, slots - own));
}

std::shared_ptr<const comm::ReductionLayout> layout_of(const sharding::TrainingShape& shape) {
  const BatchSplit one_leaf_each{shape.world_size, 1, shape.world_size};
  return comm::ReductionLayout::make(shape.fast_order ? one_leaf_each : shape.split, shape.world_size);
}

class SeveralHosts {
 public:
  SeveralHosts(const PlannedWorld& world, const sharding::TrainingShape& shape,
               std::span<const sharding::PlannedParameter> parameters)
      : shape_(shape),
        slices_(world.ranks_per_node),
        most_(most_together(shape, parameters)),
        units_(units_of(shape, parameters)) {
    std::vector<std::vector<int>> ranks;
    for (int first = 0; first < world.ranks; first += slices_) {
      ranks.emplace_back(static_cast<std::size_t>(std::min(slices_, world.ranks - first)));
      std::iota(ranks.back().begin(), ranks.back().end(), first);
    }
    const auto hosts = comm::hierarchical::Hosts::make(std::move(ranks));
    const auto layout = layout_of(shape);
    for (int host = 0; host < hosts.count(); ++host) {
      const auto of_host = comm::hierarchical::host_layout(*layout, hosts, hosts.ranks_of(host).front());
      nodes_ = std::max(nodes_, static_cast<std::int64_t>(of_host.nodes.size()));
      across_ = of_host.across;
    }
  }

  std::int64_t bytes() const { return nodes() + copies() + gathers() + network(); }

 private:
  // Values of a host's nodes of the lane tree, of the slice that a rank carries across. One node of an all_reduce is
  // made where the result will be.
  std::int64_t nodes() const {
    const bool in_place = shape_.zero_stage == 0 && (nodes_ == 1 || shape_.fast_order);
    return in_place ? 0 : nodes_ * kWide * gradients_on_the_way() / slices_;
  }
  std::int64_t gradients_on_the_way() const {
    return shape_.zero_stage < 2 ? units_.gradient_elements() : units_.pooled_gradient_elements();
  }
  // Halves are widened before the first stage.
  std::int64_t copies() const { return shape_.reduced_bytes < kWide ? kWide * gradients_on_the_way() : 0; }
  // The other hosts' rows, of the slice that a rank carries.
  std::int64_t gathers() const {
    if (shape_.zero_stage == 0 || shape_.mapped) {
      return 0;
    }
    return shape_.parameter_bytes * (shape_.zero_stage == 3 ? units_.pooled_elements() : units_.elements()) / slices_;
  }
  std::int64_t network() const {
    const std::int64_t most = shape_.zero_stage == 0 ? std::min(most_, kMostInPiece) : most_;
    return network_scratch(*across_, most / slices_);
  }

  const sharding::TrainingShape& shape_;
  int slices_;
  std::int64_t most_;
  sharding::UnitPlan units_;
  std::int64_t nodes_ = 0;
  std::shared_ptr<const comm::ReductionLayout> across_;
};

}  // namespace

std::int64_t message_memory(std::string_view backend, const PlannedWorld& world, const sharding::TrainingShape& shape,
                            std::span<const sharding::PlannedParameter> parameters) {
  const bool by_host = backend == "auto" || backend == "hierarchical";
  const bool one_host = world.ranks_per_node == world.ranks;
  if (world.ranks == 1 || !(by_host || backend == "gloo" || backend == "mpi") || (by_host && one_host)) {
    return 0;
  }
  const int group =
      shape.zero_stage == 0 ? world.ranks : sharding::HybridGroups::make(world.ranks, shape.shard_group).group_size;
  if (by_host && group < world.ranks) {  // groups inside hosts: only their rows cross, in place
    return network_scratch(*layout_of(shape), most_together(shape, parameters) / group);
  }
  if (by_host && world.ranks_per_node > 1) {
    return SeveralHosts(world, shape, parameters).bytes();
  }
  return network_scratch(*layout_of(shape), most_together(shape, parameters));
}

}  // namespace trireme::training
