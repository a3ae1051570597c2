#include "trireme/strategies/mirrored/mirrored.h"

#include <algorithm>

#include "trireme/core/array/allocator.h"
#include "trireme/core/array/bf16_rows.h"
#include "trireme/core/base/parallel.h"

namespace trireme::strategies {
namespace {

constexpr std::int64_t kRoundTile = 64 << 10;  // elements

}  // namespace

Mirrored::Mirrored(comm::World world, const MirroredOptions& options)
    : LaneStrategy(std::move(world), options.seed), options_(options) {
  require_usage(options.param_dtype == DType::f32 || options.param_dtype == DType::bf16,
                "mirrored: parameters in {} given, f32 or bf16 expected", name_of(options.param_dtype));
}

Mirrored::~Mirrored() {
  for (std::size_t i = 0; i < values_.size(); ++i) {
    parameters()[i].tensor.set_compute_value(values_[i]);
  }
}

sharding::TrainingShape Mirrored::shape_of(const MirroredOptions& options) {
  return {.parameter_bytes = static_cast<std::int64_t>(size_of(options.param_dtype)),
          .fast_order = options.reduce_order == comm::ReduceOrder::fast};
}

// All parameters side by side in one block; rank 0's values everywhere, as DistributedDataParallel does, because a
// program may have loaded or set values of its own before prepare().
void Mirrored::place_parameters() {
  std::int64_t elements = 0;
  for (const nn::NamedParameter& parameter : parameters()) {
    elements += padded_to_lines(parameter.tensor.count());
  }
  const Array block = communicator().allocate({elements}, DType::f32);
  std::int64_t offset = 0;
  for (nn::NamedParameter& parameter : parameters()) {
    const Array& value = parameter.tensor.array();
    Array place = block.narrow(0, offset, value.count()).reshape(value.shape());
    if (value.defined()) {
      place.copy_from(value);
    } else {  // made where it stays: there is no second copy of the model, not even for a moment
      parameter.init.fill(options_.seed, parameter.name, 0, place);
    }
    values_.push_back(place);
    parameter.tensor.set_value(std::move(place));
    const std::int64_t end = offset + values_.back().count();
    offset += padded_to_lines(values_.back().count());
    block.narrow(0, end, offset - end).fill(0);  // the padding is sent too
  }
  communicator().broadcast(block, 0, {.name = "initial parameters"}).wait();
  release_cached_memory();  // of the values as they were before: their sizes do not come again
  if (options_.param_dtype == DType::bf16) {
    make_copies();
  }
}

void Mirrored::make_copies() {
  std::int64_t elements = 0;
  for (const nn::NamedParameter& parameter : parameters()) {
    elements += parameter.sparse ? 0 : padded_to_lines(parameter.tensor.count());
  }
  const Array block = Array::empty({elements}, DType::bf16);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    nn::NamedParameter& parameter = parameters()[i];
    if (!parameter.sparse) {
      copies_.push_back({values_[i], block.narrow(0, offset, values_[i].count()).reshape(values_[i].shape())});
      parameter.tensor.set_compute_value(copies_.back().rounded);
      offset += padded_to_lines(values_[i].count());
    }
  }
  round_copies();
}

void Mirrored::round_copies() {
  for (const Copy& copy : copies_) {
    parallel_for(copy.value.count(), kRoundTile,
                 [from = copy.value.data<float>(), to = copy.rounded.data<BFloat16>()](auto begin, auto end) {
                   round_row(from + begin, to + begin, end - begin);
                 });
  }
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
  for (std::size_t i = 0; i < values_.size(); ++i) {
    const nn::NamedParameter& parameter = parameters()[i];
    slots.push_back({parameter.name, values_[i].shape(), 0, parameter.sparse, values_[i].flatten(), {}});
  }
  return slots;
}

void Mirrored::after_update() {
  round_copies();
  gradients_->rebuild();
}

std::vector<sharding::StateTensor> Mirrored::state() {
  std::vector<sharding::StateTensor> state;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    state.push_back({"model." + parameters()[i].name, values_[i].shape(), 0, values_[i]});
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

std::vector<WholeParameter> Mirrored::whole_parameters() {
  std::vector<WholeParameter> whole;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    whole.push_back({parameters()[i].name, values_[i].shape(), values_[i].dtype(), [this, i] { return values_[i]; }});
  }
  std::ranges::sort(whole, {}, &WholeParameter::name);
  return whole;
}

}  // namespace trireme::strategies
