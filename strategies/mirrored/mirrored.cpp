#include "trireme/strategies/mirrored/mirrored.h"

#include <algorithm>

#include "trireme/core/base/activity.h"
#include "trireme/core/base/physical_memory.h"
#include "trireme/core/optim/clip.h"
#include "trireme/core/optim/rows.h"
#include "trireme/strategies/parameter_check.h"

namespace trireme::strategies {
namespace {

// Values, gradients and optimizer state must fit before any of them is made: an out-of-memory kill names nobody.
void require_memory(const std::vector<nn::NamedParameter>& parameters, std::size_t states) {
  std::int64_t elements = 0;
  for (const nn::NamedParameter& parameter : parameters) {
    elements += parameter.tensor.count();
  }
  const std::int64_t bytes = elements * static_cast<std::int64_t>((2 + states) * sizeof(float));
  const std::int64_t memory = physical_memory();
  constexpr double kGiB = 1 << 30;
  require(memory == 0 || bytes <= memory,
          "mirrored: {} parameters with gradients and optimizer state need {:.1f} GiB on every rank; this machine has "
          "{:.1f}; "
          "use a smaller model",
          elements, static_cast<double>(bytes) / kGiB, static_cast<double>(memory) / kGiB);
}

}  // namespace

Mirrored::Mirrored(comm::World world, const MirroredOptions& options)
    : world_(std::move(world)), options_(options), plans_(world_.rank(), world_.size()) {}

Mirrored::~Mirrored() {
  if (step_context().owner == this) {
    step_context().owner = nullptr;
  }
}

void Mirrored::prepare(nn::Module& model, optim::Optimizer& optimizer) {
  require(model_ == nullptr, "mirrored: prepare() was called twice; make one strategy for each model");
  model_ = &model;
  optimizer_ = &optimizer;
  parameters_ = model.parameters();
  model_buffers_ = model.buffers();
  require(!parameters_.empty(), "mirrored: the model has no parameters; register them with add_parameter()");
  require_same_parameters(communicator(), parameters_);
  require_memory(parameters_, optimizer.state_names().size());
  model.initialize(options_.seed);
  place_parameters();

  std::vector<GradientBuckets::Parameter> trained;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const nn::NamedParameter& parameter = parameters_[i];
    if (parameter.tensor.requires_grad()) {  // a frozen one keeps its value and has no bucket
      trained.push_back({parameter.name, parameter.tensor, parameter.tensor.node()});
      slot_of_trained_.push_back(i);
    }
  }
  require(!trained.empty(), "mirrored: every parameter is frozen; there is nothing to train");
  std::vector<nn::NamedBuffer> observed = model_buffers_;
  std::erase_if(observed, [](const nn::NamedBuffer& buffer) { return buffer.observation == nullptr; });
  const bool synchronized =
      std::ranges::any_of(observed, [](const nn::NamedBuffer& buffer) { return buffer.observation->synchronized; });
  batch_sums_ = std::make_unique<BatchSums>(communicator(), synchronized);
  scalars_ = std::make_unique<StepScalars>(communicator(), trained.size(), std::move(observed));
  gradients_ = std::make_unique<GradientBuckets>(
      communicator(), std::move(trained),
      GradientBuckets::Options{options_.first_bucket_bytes, options_.bucket_bytes, options_.reduce_order});
  attach_optimizer();
  step_context().owner = this;
  step_context().seed = options_.seed;
}

// All parameters side by side in one block; rank 0's values everywhere, as DistributedDataParallel does, because a
// program may have loaded or set values of its own before prepare().
void Mirrored::place_parameters() {
  std::int64_t elements = 0;
  for (const nn::NamedParameter& parameter : parameters_) {
    elements += padded_to_lines(parameter.tensor.count());
  }
  const Array block = communicator().allocate({elements}, DType::f32);
  block.fill(0);
  std::int64_t offset = 0;
  for (nn::NamedParameter& parameter : parameters_) {
    const Array& value = parameter.tensor.array();
    require(value.dtype() == DType::f32, "mirrored: parameter {} has dtype {}; f32 expected", parameter.name,
            name_of(value.dtype()));
    Array place = block.narrow(0, offset, value.count()).reshape(value.shape());
    place.copy_from(value);
    parameter.tensor.set_value(std::move(place));
    offset += padded_to_lines(value.count());
  }
  communicator().broadcast(block, 0, {.name = "initial parameters"}).wait();
  for (const nn::NamedBuffer& buffer : model_buffers_) {
    communicator().broadcast(buffer.array, 0, {.name = buffer.name}).wait();
  }
}

void Mirrored::attach_optimizer() {
  std::vector<optim::Slot> slots;
  for (const nn::NamedParameter& parameter : parameters_) {
    const Array& value = parameter.tensor.array();
    slots.push_back({parameter.name, value.shape(), 0, parameter.sparse, value.flatten(), {}});
  }
  flat_gradients_.assign(slots.size(), Array());
  optimizer_->attach(std::move(slots), [this] {
    if (leaf_open_ || accumulated_ || leaves_done_ > 0) {
      return;  // between the lanes of a step gradients belong to the strategy
    }
    for (const GradientBuckets::Parameter& parameter : gradients_->parameters()) {
      parameter.leaf->as_leaf()->clear();
    }
  });
}

void Mirrored::clip_grad_norm(double max_norm) {
  require_usage(max_norm >= 0, "clip_grad_norm: {} given, 0 (off) or a positive norm expected", max_norm);
  max_norm_ = max_norm;
}

// Without a Loader a rank has one lane, whatever it holds.
const StepPlan& Mirrored::current_plan() {
  const BatchSplit& split = step_context().split;
  return plans_.of(split.items > 0 ? split : BatchSplit{world_.size(), 1, world_.size()});
}

double Mirrored::begin_backward(const Array& loss, double weight, bool weight_depends_on_data) {
  const StepContext& context = step_context();
  const bool by_loader = context.split.items > 0;
  require(!leaf_open_,
          "backward() was called twice before strategy.step(); wrap all but the last in strategy.no_sync()");
  require(!(accumulating_ && by_loader),
          "no_sync() was used with a Loader; pass {{.accumulate = k}} to the Loader instead");
  const StepPlan& plan = current_plan();
  batch_sums_->begin(plan.split);
  const auto done = static_cast<std::size_t>(leaves_done_);
  require(done < plan.lanes.leaves.size() && (!by_loader || plan.lanes.leaves[done].leaf == context.leaf),
          "backward: lane {} runs, another was expected; the Loader must be made with this strategy's world",
          context.leaf);
  if (!accumulated_) {
    gradients_->open_leaf({height_, plan.lanes.leaves[done].merges, plan.lanes.depth,
                           done + 1 == plan.lanes.leaves.size(), plan.lanes.parts, plan.layout});
    leaf_ = {0, 0, false};
  }
  leaf_.unscaled = !by_loader || weight_depends_on_data;
  leaf_.loss += loss.item() * weight;  // a sum until step() divides it
  leaf_.weight += weight;
  accumulated_ = accumulating_;
  if (!accumulating_) {
    leaf_open_ = true;
    gradients_->close_leaf();
  }
  return leaf_.unscaled ? weight : static_cast<double>(context.leaf_items) / static_cast<double>(context.split.items);
}

bool Mirrored::step() {
  require(model_ != nullptr, "mirrored: step() before prepare(model, optimizer)");
  require(leaf_open_, "mirrored: step() without a backward() before it");
  const StepPlan& plan = current_plan();
  const int merges = plan.lanes.leaves[static_cast<std::size_t>(leaves_done_)].merges;
  leaf_.loss = leaf_.weight > 0 ? leaf_.loss / leaf_.weight : 0;
  gradients_->end_leaf(used_);
  scalars_->add_leaf(leaf_, used_, height_, merges);
  leaf_open_ = false;
  height_ += 1 - merges;
  if (++leaves_done_ < static_cast<int>(plan.lanes.leaves.size())) {
    return false;
  }
  finish_step(plan);
  return true;
}

void Mirrored::sum_over_batch(const Array& values, std::string_view name) {
  require_usage(
      !accumulating_ && !accumulated_,
      "{}: synchronized batch normalization with gradient accumulation by no_sync(): its passes run one after "
      "another and cannot exchange statistics; turn one of both off",
      name);
  batch_sums_->sum(current_plan().split, values, name);
}

void Mirrored::run_idle_step() {
  const StepPlan& plan = current_plan();
  batch_sums_->begin(plan.split);
  gradients_->reduce_without_parts(plan.layout);
  finish_step(plan);
}

void Mirrored::finish_step(const StepPlan& plan) {
  enter_phase(Phase::reducing);
  const auto waited = communicator().time_waiting();
  gradients_->finish();
  scalars_->reduce(plan);
  if (scalars_->unscaled()) {
    gradients_->scale(1.0 / scalars_->weight_sum());
  }
  const double norm = global_grad_norm();
  const auto& trained = gradients_->parameters();
  for (std::size_t i = 0; i < trained.size(); ++i) {
    const bool used = scalars_->used(i) && trained[i].tensor.requires_grad();
    flat_gradients_[slot_of_trained_[i]] = used ? gradients_->gradient(i).flatten() : Array();
  }
  enter_phase(Phase::updating);
  optimizer_->update(flat_gradients_, optim::clip_factor(norm, max_norm_));
  report_ = {steps_done_++, scalars_->loss_sum() / scalars_->weight_sum(), scalars_->weight_sum(), norm,
             communicator().time_waiting() - waited};
  leaves_done_ = 0;
  height_ = 0;
  accumulated_ = false;
  gradients_->rebuild();
  enter_phase(Phase::between_steps);
}

// Each rank squares its share of the rows; the exact sum makes the result independent of the shares.
double Mirrored::global_grad_norm() {
  ExactSum sum;
  const auto& trained = gradients_->parameters();
  for (std::size_t i = 0; i < trained.size(); ++i) {
    const Array& gradient = gradients_->gradient(i);
    const std::int64_t row = optim::row_length(gradient.shape());
    const std::int64_t rows = row == 0 ? 0 : gradient.count() / row;
    const std::int64_t begin = rows * world_.rank() / world_.size();
    const std::int64_t end = rows * (world_.rank() + 1) / world_.size();
    optim::add_squares(sum, gradient.flatten().narrow(0, begin * row, (end - begin) * row), row);
  }
  if (world_.size() > 1) {
    if (!norm_limbs_.defined()) {
      norm_limbs_ = communicator().allocate({ExactSum::kLimbs}, DType::i64);
    }
    const auto limbs = norm_limbs_.span<std::int64_t>();
    std::ranges::copy(sum.limbs(), limbs.begin());
    communicator().all_reduce(norm_limbs_, comm::ReduceOp::sum, {.name = "gradient norm"}).wait();
    sum = ExactSum::from_limbs(limbs.first<ExactSum::kLimbs>());
  }
  return optim::norm_of(sum);
}

std::vector<sharding::StateTensor> Mirrored::state() {
  std::vector<sharding::StateTensor> state;
  for (const nn::NamedParameter& parameter : parameters_) {
    state.push_back({"model." + parameter.name, parameter.tensor.shape(), 0, parameter.tensor.array()});
  }
  for (const nn::NamedBuffer& buffer : model_buffers_) {
    state.push_back({"buffer." + buffer.name, buffer.array.shape(), 0, buffer.array});
  }
  const std::vector<std::string> names = optimizer_->state_names();
  for (const optim::Slot& slot : optimizer_->slots()) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      const Array& values = slot.state[i];  // as long as the parameter, or one number a row
      const Shape shape = values.count() == slot.value.count() ? slot.shape : Shape{values.count()};
      state.push_back({"optimizer." + names[i] + "." + slot.name, shape, 0, values.reshape(shape)});
    }
  }
  return state;
}

std::vector<nn::NamedParameter> Mirrored::full_parameters() {
  std::vector<nn::NamedParameter> sorted = parameters_;
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return sorted;
}

}  // namespace trireme::strategies
