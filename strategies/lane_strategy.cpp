#include "trireme/strategies/lane_strategy.h"

#include <algorithm>

#include "trireme/core/base/activity.h"
#include "trireme/core/optim/clip.h"
#include "trireme/core/optim/rows.h"
#include "trireme/strategies/memory_check.h"
#include "trireme/strategies/parameter_check.h"
#include "trireme/strategies/planned_parameters.h"

namespace trireme::strategies {

LaneStrategy::LaneStrategy(comm::World world, std::uint64_t seed)
    : world_(std::move(world)), seed_(seed), plans_(world_.rank(), world_.size()) {}

LaneStrategy::~LaneStrategy() {
  if (step_context().owner == this) {
    step_context().owner = nullptr;
  }
}

void LaneStrategy::prepare(nn::Module& model, optim::Optimizer& optimizer) {
  require(model_ == nullptr, "{}: prepare() was called twice; make one strategy for each model", name());
  model_ = &model;
  optimizer_ = &optimizer;
  parameters_ = model.parameters();
  model_buffers_ = model.buffers();
  require(!parameters_.empty(), "{}: the model has no parameters; register them with add_parameter()", name());
  require_same_parameters(communicator(), parameters_);
  find_trained();
  require(!trained_.empty(), "{}: every parameter is frozen; there is nothing to train", name());
  require_memory_for_step();
  place_parameters();
  place_buffers();
  const auto first_table = std::ranges::find_if(
      trained_, [this](const TrainedParameter& parameter) { return parameters_[parameter.index].sparse; });
  gradients_ = make_gradients({trained_.begin(), first_table});
  sparse_gradients_ =
      std::make_unique<SparseGradients>(communicator(), std::vector<TrainedParameter>(first_table, trained_.end()));
  attach_optimizer();
  step_context().owner = this;
  step_context().seed = seed_;
}

void LaneStrategy::find_trained() {
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const nn::NamedParameter& parameter = parameters_[i];
    require(parameter.tensor.dtype() == DType::f32, "{}: parameter {} has dtype {}; f32 expected", name(),
            parameter.name, name_of(parameter.tensor.dtype()));
    if (parameter.tensor.requires_grad()) {  // a frozen one keeps its value and has no gradient
      trained_.push_back({parameter.name, parameter.tensor, parameter.tensor.node(), i});
    }
  }
  std::ranges::stable_partition(
      trained_, [this](const TrainedParameter& parameter) { return !parameters_[parameter.index].sparse; });
}

// With one lane a rank and without activations: the least that a step will take. Programs whose model knows its
// activations have asked for more before (training::Session::plan).
void LaneStrategy::require_memory_for_step() {
  sharding::TrainingShape shape = training_shape();
  shape.world_size = world_.size();
  shape.split = {world_.size(), 1, world_.size()};
  shape.states = holds_state() ? states_of(*optimizer_) : sharding::OptimizerStates{};
  require_memory(
      communicator(), name(),
      sharding::MemoryPlan::make(shape, holds_state() ? planned_parameters(*model_) : planned_on_worker(*model_)));
}

void LaneStrategy::place_buffers() {
  for (const nn::NamedBuffer& buffer : model_buffers_) {
    communicator().broadcast(buffer.array, 0, {.name = buffer.name}).wait();
  }
  std::vector<nn::NamedBuffer> observed = model_buffers_;
  std::erase_if(observed, [](const nn::NamedBuffer& buffer) { return buffer.observation == nullptr; });
  const bool synchronized =
      std::ranges::any_of(observed, [](const nn::NamedBuffer& buffer) { return buffer.observation->synchronized; });
  batch_sums_ = std::make_unique<BatchSums>(communicator(), synchronized);
  scalars_ = std::make_unique<StepScalars>(communicator(), trained_.size(), std::move(observed));
}

void LaneStrategy::attach_optimizer() {
  std::vector<optim::Slot> slots = make_slots();
  slot_gradients_.assign(slots.size(), {});
  optimizer_->attach(std::move(slots), [this] {
    if (!leaf_open_ && !accumulated_ && leaves_done_ == 0) {  // between lanes gradients belong to the strategy
      clear_gradients();
    }
  });
}

void LaneStrategy::clear_gradients() {
  for (const TrainedParameter& parameter : trained_) {
    parameter.leaf->as_leaf()->clear();
  }
}

void LaneStrategy::clip_grad_norm(double max_norm) {
  require_usage(max_norm >= 0, "clip_grad_norm: {} given, 0 (off) or a positive norm expected", max_norm);
  max_norm_ = max_norm;
}

// Without a Loader a rank has one lane, whatever it holds.
const StepPlan& LaneStrategy::current_plan() {
  const BatchSplit& split = step_context().split;
  return plans_.of(split.items > 0 ? split : BatchSplit{world_.size(), 1, world_.size()});
}

double LaneStrategy::begin_backward(const Array& loss, double weight, bool weight_depends_on_data) {
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
    gradients_->open_leaf({height_, plan.lanes.leaves[done].merges, done + 1 == plan.lanes.leaves.size(), &plan});
    sparse_gradients_->open_leaf();
    leaf_ = {0, 0, false};
  }
  leaf_.unscaled = !by_loader || weight_depends_on_data;
  leaf_.loss += loss.item() * weight;  // a sum until step() divides it
  leaf_.weight += weight;
  accumulated_ = accumulating_;
  leaf_open_ = !accumulating_;
  gradients_->begin_pass(!accumulating_);
  return leaf_.unscaled ? weight : static_cast<double>(context.leaf_items) / static_cast<double>(context.split.items);
}

bool LaneStrategy::step() {
  require(prepared(), "{}: step() before prepare(model, optimizer)", name());
  require(leaf_open_, "{}: step() without a backward() before it", name());
  const StepPlan& plan = current_plan();
  const int merges = plan.lanes.leaves[static_cast<std::size_t>(leaves_done_)].merges;
  leaf_.loss = leaf_.weight > 0 ? leaf_.loss / leaf_.weight : 0;
  gradients_->end_leaf(used_);
  sparse_gradients_->end_leaf(height_, merges, used_);
  scalars_->add_leaf(leaf_, used_, height_, merges);
  leaf_open_ = false;
  height_ += 1 - merges;
  if (++leaves_done_ < static_cast<int>(plan.lanes.leaves.size())) {
    return false;
  }
  finish_step(plan);
  return true;
}

void LaneStrategy::sum_over_batch(const Array& values, std::string_view name) {
  require_usage(
      !accumulating_ && !accumulated_,
      "{}: synchronized batch normalization with gradient accumulation by no_sync(): its passes run one after "
      "another and cannot exchange statistics; turn one of both off",
      name);
  batch_sums_->sum(current_plan().split, values, name);
}

void LaneStrategy::run_idle_step() {
  const StepPlan& plan = current_plan();
  batch_sums_->begin(plan.split);
  gradients_->reduce_without_parts(plan);
  finish_step(plan);
}

void LaneStrategy::finish_step(const StepPlan& plan) {
  enter_phase(Phase::reducing);
  const auto waited = time_waiting();
  gradients_->finish();
  reduce_tables(*sparse_gradients_, plan);
  reduce_scalars(*scalars_, plan);
  if (scalars_->unscaled()) {
    scale_gradients(1.0 / scalars_->weight_sum());
  }
  const double norm = gradient_norm();
  enter_phase(Phase::updating);
  update(optim::clip_factor(norm, max_norm_));
  report_ = {steps_done_++, scalars_->loss_sum() / scalars_->weight_sum(), scalars_->weight_sum(), norm,
             time_waiting() - waited};
  leaves_done_ = 0;
  height_ = 0;
  accumulated_ = false;
  enter_phase(Phase::between_steps);
}

void LaneStrategy::scale_gradients(double factor) {
  gradients_->scale(factor);
  sparse_gradients_->scale(factor);
}

bool LaneStrategy::used(std::size_t trained) const {
  return scalars_->used(trained) && trained_[trained].tensor.requires_grad();
}

void LaneStrategy::update(double clip_factor) {
  for (std::size_t i = 0; i < trained_.size(); ++i) {
    slot_gradients_[trained_[i].index] = used(i) ? gradient_of_slot(i) : optim::Gradient();
  }
  optimizer_->update(slot_gradients_, clip_factor);
  std::ranges::fill(slot_gradients_, optim::Gradient());  // views keep buffers alive that the next step replaces
  after_update();
}

// What this rank updates of a sparse table are its own rows; the gradient of all is on every rank.
optim::Gradient LaneStrategy::gradient_of_slot(std::size_t trained) const {
  const std::size_t dense = trained_.size() - sparse_gradients_->tables();
  if (trained < dense) {
    return gradients_->reduced(trained);
  }
  const optim::Slot& slot = optimizer_->slots()[trained_[trained].index];
  const std::int64_t row = optim::row_length(slot.shape);
  return rows_between(sparse_gradients_->reduced(trained - dense), slot.first / row,
                      (slot.first + slot.value.count()) / row);
}

std::span<const Array> LaneStrategy::touched_rows() {
  touched_.resize(parameters_.size());
  const std::size_t dense = trained_.size() - sparse_gradients_->tables();
  for (std::size_t t = dense; t < trained_.size(); ++t) {
    touched_[trained_[t].index] = sparse_gradients_->reduced(t - dense).rows;
  }
  return touched_;
}

// Each rank squares its share of the rows; the exact sum makes the result independent of the shares.
double LaneStrategy::gradient_norm() {
  ExactSum sum;
  comm::Communicator& ranks = norm_ranks();
  for (std::size_t i = 0; i < trained_.size() - sparse_gradients_->tables(); ++i) {
    optim::add_squares(sum, gradients_->rows_for_norm(i), optim::row_length(trained_[i].tensor.shape()));
  }
  sparse_gradients_->add_squares(sum, ranks.rank(), ranks.size());
  if (ranks.size() > 1) {
    if (!norm_limbs_.defined()) {
      norm_limbs_ = ranks.allocate({ExactSum::kLimbs}, DType::i64);
    }
    const auto limbs = norm_limbs_.span<std::int64_t>();
    std::ranges::copy(sum.limbs(), limbs.begin());
    ranks.all_reduce(norm_limbs_, comm::ReduceOp::sum, {.name = "gradient norm"}).wait();
    sum = ExactSum::from_limbs(limbs.first<ExactSum::kLimbs>());
  }
  return optim::norm_of(sum);
}

void LaneStrategy::append_buffers(std::vector<sharding::StateTensor>& state) const {
  for (const nn::NamedBuffer& buffer : model_buffers_) {
    state.push_back({"buffer." + buffer.name, buffer.array.shape(), 0, buffer.array});
  }
}

}  // namespace trireme::strategies
