#include "trireme/strategies/mirrored/mirrored.h"

#include <algorithm>

namespace trireme::strategies {
Mirrored::Mirrored(comm::World world, const MirroredOptions& options)
    : LaneStrategy(std::move(world), options.seed), options_(options) {}

sharding::TrainingShape Mirrored::training_shape() const {
  return {.fast_order = options_.reduce_order == comm::ReduceOrder::fast};
}

// All parameters side by side in one block; rank 0's values everywhere, as DistributedDataParallel does, because a
// program may have loaded or set values of its own before prepare().
void Mirrored::place_parameters() {
  model().initialize(options_.seed);
  std::int64_t elements = 0;
  for (const nn::NamedParameter& parameter : parameters()) {
    elements += padded_to_lines(parameter.tensor.count());
  }
  const Array block = communicator().allocate({elements}, DType::f32);
  block.fill(0);
  std::int64_t offset = 0;
  for (nn::NamedParameter& parameter : parameters()) {
    const Array& value = parameter.tensor.array();
    Array place = block.narrow(0, offset, value.count()).reshape(value.shape());
    place.copy_from(value);
    parameter.tensor.set_value(std::move(place));
    offset += padded_to_lines(value.count());
  }
  communicator().broadcast(block, 0, {.name = "initial parameters"}).wait();
}

std::unique_ptr<GradientReduction> Mirrored::make_gradients(std::vector<TrainedParameter> trained) {
  auto buckets = std::make_unique<GradientBuckets>(
      communicator(), std::move(trained),
      GradientBuckets::Options{options_.first_bucket_bytes, options_.bucket_bytes, options_.reduce_order});
  gradients_ = buckets.get();
  return buckets;
}

std::vector<optim::Slot> Mirrored::make_slots() {
  std::vector<optim::Slot> slots;
  for (const nn::NamedParameter& parameter : parameters()) {
    const Array& value = parameter.tensor.array();
    slots.push_back({parameter.name, value.shape(), 0, parameter.sparse, value.flatten(), {}});
  }
  return slots;
}

std::vector<sharding::StateTensor> Mirrored::state() {
  std::vector<sharding::StateTensor> state;
  for (const nn::NamedParameter& parameter : parameters()) {
    state.push_back({"model." + parameter.name, parameter.tensor.shape(), 0, parameter.tensor.array()});
  }
  append_buffers(state);
  const std::vector<std::string> names = optimizer().state_names();
  for (const optim::Slot& slot : optimizer().slots()) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      const Array& values = slot.state[i];  // as long as the parameter, or one number a row
      const Shape shape = values.count() == slot.value.count() ? slot.shape : Shape{values.count()};
      state.push_back({"optimizer." + names[i] + "." + slot.name, shape, 0, values.reshape(shape)});
    }
  }
  return state;
}

std::vector<nn::NamedParameter> Mirrored::full_parameters() {
  std::vector<nn::NamedParameter> sorted = parameters();
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return sorted;
}

}  // namespace trireme::strategies
