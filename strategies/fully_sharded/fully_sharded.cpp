#include "trireme/strategies/fully_sharded/fully_sharded.h"

#include <algorithm>

#include "trireme/core/optim/rows.h"
#include "trireme/sharding/shard_rows.h"
#include "trireme/strategies/fully_sharded/unit_passes.h"

namespace trireme::strategies {
namespace {

int reshard_group(const FullyShardedOptions& options, int group_size) {
  if (const bool* const whether = std::get_if<bool>(&options.reshard_after_forward)) {
    return *whether ? 0 : 1;
  }
  const int ranks = std::get<int>(options.reshard_after_forward);
  require_usage(options.zero_stage == 3,
                "reshard_after_forward {} given with zero_stage {}: only stage 3 lets parameters go; use stage 3, or "
                "leave it out",
                ranks, options.zero_stage);
  require_usage(
      ranks >= 1 && group_size % ranks == 0,
      "reshard_after_forward {} given for shard groups of {} ranks; true, false or a divisor of that expected", ranks,
      group_size);
  return ranks == group_size ? 0 : ranks;
}

}  // namespace

FullySharded::FullySharded(comm::World world, const FullyShardedOptions& options)
    : LaneStrategy(std::move(world), options.seed), options_(options) {
  require_usage(options.zero_stage >= 1 && options.zero_stage <= 3,
                "zero_stage {} given, 1, 2 or 3 expected (mirrored training shards nothing)", options.zero_stage);
  for (const DType dtype : {options.param_dtype, options.reduce_dtype}) {
    require_usage(dtype == DType::f32 || dtype == DType::bf16, "fully_sharded: {} given, f32 or bf16 expected",
                  name_of(dtype));
  }
  ranks_.groups = sharding::HybridGroups::make(this->world().size(), options.shard_group);
  reshard_group(options_, ranks_.groups.group_size);
}

sharding::TrainingShape FullySharded::shape_of(const FullyShardedOptions& options, int world_size, bool one_host) {
  const int group_size = sharding::HybridGroups::make(world_size, options.shard_group).group_size;
  return {.zero_stage = options.zero_stage,
          .shard_group = options.shard_group,
          .mapped = options.share_memory && one_host,
          .reshard_group = reshard_group(options, group_size),
          .parameter_bytes = static_cast<std::int64_t>(size_of(options.param_dtype)),
          .separate_masters = options.cpu_offload,
          .fast_order = options.reduce_order == comm::ReduceOrder::fast};
}

sharding::TrainingShape FullySharded::training_shape() const {
  return shape_of(options_, world().size(), world().size() == 1 || world()->backend() == "shm");
}

void FullySharded::place_parameters() {
  const sharding::HybridGroups& groups = ranks_.groups;
  const int group = groups.group_of(world().rank());
  const int place = groups.place_of(world().rank());
  ranks_.group = world().communicator();
  if (groups.groups() > 1) {
    ranks_.group = world()->split(group, place);
    ranks_.replicas = world()->split(place, group);
  }
  map_ = std::make_shared<ShardMap>(
      ShardMap::make(model(), parameters(), options_.units, options_.param_dtype, place, groups.group_size));
  home_ = make_home(ranks_.group, *map_,
                    {.zero_stage = options_.zero_stage,
                     .share = options_.share_memory,
                     .separate_masters = options_.cpu_offload,
                     .reshard_group = reshard_group(options_, groups.group_size)});
  fill_rows();
  home_->adopt();
}

// Rank 0's values where it has some, because a program may have loaded or set values before prepare(); else the first
// ones, of which each rank only ever makes its own rows.
void FullySharded::fill_rows() {
  const auto count = static_cast<std::int64_t>(parameters().size());
  const Array given = Array::zeros({count}, DType::u8);
  for (std::int64_t i = 0; i < count; ++i) {
    given.data<std::uint8_t>()[i] = parameters()[static_cast<std::size_t>(i)].tensor.array().defined() ? 1 : 0;
  }
  communicator().broadcast(given, 0, {.name = "which parameters have values"}).wait();
  for (std::size_t i = 0; i < parameters().size(); ++i) {
    const nn::NamedParameter& parameter = parameters()[i];
    const ShardMap::Piece own = map_->own(i);
    if (given.data<std::uint8_t>()[i] == 0) {
      parameter.init.fill(options_.seed, parameter.name, own.first, home_->rows(i));
      continue;
    }
    const Array& value = parameter.tensor.array();
    const Array whole = world().rank() == 0 ? value.contiguous() : Array::empty(value.shape(), value.dtype());
    communicator().broadcast(whole, 0, {.name = parameter.name}).wait();
    home_->rows(i).copy_from(whole.flatten().narrow(0, own.first, own.count));
  }
}

std::unique_ptr<GradientReduction> FullySharded::make_gradients(std::vector<TrainedParameter> trained) {
  auto gradients = std::make_unique<ShardedGradients>(
      ranks_, map_, std::move(trained), world().rank(),
      ShardedGradients::Options{options_.zero_stage, options_.reduce_order, options_.reduce_dtype});
  return std::make_unique<UnitPasses>(map_, home_, std::move(gradients), world().rank(), world().size());
}

std::vector<optim::Slot> FullySharded::make_slots() {
  std::vector<optim::Slot> slots;
  for (std::size_t i = 0; i < parameters().size(); ++i) {
    const nn::NamedParameter& parameter = parameters()[i];
    slots.push_back(
        {parameter.name, parameter.tensor.shape(), map_->own(i).first, parameter.sparse, home_->rows(i), {}});
  }
  return slots;
}

sharding::StateTensor FullySharded::state_tensor(std::string name, const Shape& shape, const Array& rows) const {
  Shape mine = shape;
  std::int64_t begin = 0;
  if (shape.dims() > 0) {
    const sharding::RowRange range = sharding::rows_of(shape[0], map_->place, map_->group_size);
    mine[0] = range.size();
    begin = range.begin;
  }
  sharding::StateTensor tensor{std::move(name), shape, begin, rows.reshape(mine), true};
  tensor.replica = ranks_.groups.group_of(world().rank());
  tensor.replicas = ranks_.groups.groups();
  return tensor;
}

std::vector<sharding::StateTensor> FullySharded::state() {
  std::vector<sharding::StateTensor> state;
  const auto is_here = [&](std::size_t i) {  // a scalar is on one rank; of others there may be no rows
    return parameters()[i].tensor.dims() > 0 || !map_->owns_nothing(i);
  };
  for (std::size_t i = 0; i < parameters().size(); ++i) {
    if (is_here(i)) {
      state.push_back(state_tensor("model." + parameters()[i].name, parameters()[i].tensor.shape(), home_->rows(i)));
    }
  }
  append_buffers(state);
  const std::vector<std::string> names = optimizer().state_names();
  const std::vector<optim::Slot>& slots = optimizer().slots();
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const bool by_rows = optimizer().state_per_row() && optim::row_length(slots[i].shape) != 1;
    const Shape shape = by_rows ? Shape{sharding::row_count(slots[i].shape)} : slots[i].shape;
    for (std::size_t s = 0; s < names.size() && is_here(i); ++s) {
      state.push_back(state_tensor("optimizer." + names[s] + "." + slots[i].name, shape, slots[i].state[s]));
    }
  }
  return state;
}

std::uint64_t FullySharded::bytes_moved() {
  std::uint64_t bytes = communicator().bytes_moved() + home_->bytes_moved_apart();
  if (ranks_.replicas != nullptr) {
    bytes += ranks_.group->bytes_moved() + ranks_.replicas->bytes_moved();
  }
  return bytes;
}

void FullySharded::state_written() { home_->publish(std::nullopt); }

std::vector<WholeParameter> FullySharded::whole_parameters() {
  std::vector<WholeParameter> whole;
  for (std::size_t i = 0; i < parameters().size(); ++i) {
    const Array& rows = home_->rows(i);
    whole.push_back(
        {parameters()[i].name, parameters()[i].tensor.shape(), rows.dtype(), [this, i] { return home_->whole(i); }});
  }
  std::ranges::sort(whole, {}, &WholeParameter::name);
  return whole;
}

}  // namespace trireme::strategies
