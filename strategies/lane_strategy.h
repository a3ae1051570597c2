// LaneStrategy: what the strategies have in common. Each rank runs its leaves of the lane tree one after another; after
// the last one gradients and scalars are reduced, gradients are clipped, and the optimizer updates what the rank owns.
// Where parameters and gradients live is for the derived class to say.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trireme/sharding/training_shape.h"
#include "trireme/strategies/batch_sums.h"
#include "trireme/strategies/gradient_reduction.h"
#include "trireme/strategies/sparse_gradients.h"
#include "trireme/strategies/step_plans.h"
#include "trireme/strategies/step_scalars.h"
#include "trireme/strategies/strategy.h"

namespace trireme::strategies {

// Used by the rank's one training thread. Not copyable: the model's gradients point into it.
class LaneStrategy : public Strategy {
 public:
  ~LaneStrategy() override;
  LaneStrategy(const LaneStrategy&) = delete;
  LaneStrategy& operator=(const LaneStrategy&) = delete;

  void prepare(nn::Module& model, optim::Optimizer& optimizer) final;
  bool step() final;
  void clip_grad_norm(double max_norm) final;
  const StepReport& report() const final { return report_; }
  comm::Communicator& communicator() final { return *world_.communicator(); }
  NoSync no_sync() final { return NoSync(accumulating_); }

  double begin_backward(const Array& loss, double weight, bool weight_depends_on_data) final;
  void run_idle_step() final;
  void sum_over_batch(const Array& values, std::string_view name) final;

 protected:
  LaneStrategy(comm::World world, std::uint64_t seed);

  // What memory plans must know of the strategy; prepare() adds lanes and the optimizer's states, and refuses what
  // cannot fit.
  virtual sharding::TrainingShape training_shape() const = 0;
  // False: servers hold sparse tables and the optimizer's states.
  virtual bool holds_state() const { return true; }
  // The steps of prepare(), in this order, all collective. Gives every parameter its values where the strategy keeps
  // them: rank 0's where it has some, else the first ones of the seed.
  virtual void place_parameters() = 0;
  // Where the gradients of these go: trained parameters but sparse tables, whose rows SparseGradients sees to.
  virtual std::unique_ptr<GradientReduction> make_gradients(std::vector<TrainedParameter> trained) = 0;
  // What this rank updates: one slot for each parameter of the model, in order.
  virtual std::vector<optim::Slot> make_slots() = 0;
  // The ranks over which the squares of rows_for_norm() add up to those of all rows.
  virtual comm::Communicator& norm_ranks() { return communicator(); }
  // The optimizer has updated what this rank owns. Collective.
  virtual void after_update() = 0;

  // How a step ends, in this order; collective. Who keeps gradients and optimizer elsewhere replaces all of them.
  virtual void reduce_tables(SparseGradients& tables, const StepPlan& plan) { tables.reduce(plan); }
  virtual void reduce_scalars(StepScalars& scalars, const StepPlan& plan) { scalars.reduce(plan); }
  // If weights were only known now.
  virtual void scale_gradients(double factor);
  // Of the reduced gradients, over all rows.
  virtual double gradient_norm();
  // Updates by the gradients times the factor, and ends with after_update().
  virtual void update(double clip_factor);
  // How long this rank has waited for others.
  virtual std::chrono::nanoseconds time_waiting() { return communicator().time_waiting(); }
  // Some lane has used the trained parameter in this step, and it is not frozen. For update().
  bool used(std::size_t trained) const;

  const comm::World& world() const { return world_; }
  std::uint64_t seed() const { return seed_; }
  nn::Module& model() { return *model_; }
  optim::Optimizer& optimizer() { return *optimizer_; }
  bool prepared() const { return gradients_ != nullptr; }
  // [parameter]: of sparse tables the numbers of the rows that the last step touched on any rank; else undefined. Valid
  // until the next call.
  std::span<const Array> touched_rows();
  std::vector<nn::NamedParameter>& parameters() { return parameters_; }
  const std::vector<nn::NamedBuffer>& model_buffers() const { return model_buffers_; }
  // For state(): the model's buffers, which every rank holds whole.
  void append_buffers(std::vector<sharding::StateTensor>& state) const;

 private:
  void require_memory_for_step();
  void place_buffers();
  void find_trained();
  void attach_optimizer();
  void clear_gradients();
  const StepPlan& current_plan();
  void finish_step(const StepPlan& plan);
  optim::Gradient gradient_of_slot(std::size_t trained) const;

  comm::World world_;
  std::uint64_t seed_;
  nn::Module* model_ = nullptr;
  optim::Optimizer* optimizer_ = nullptr;
  std::vector<nn::NamedParameter> parameters_;
  std::vector<nn::NamedBuffer> model_buffers_;
  std::vector<TrainedParameter> trained_;  // sparse tables last
  std::unique_ptr<GradientReduction> gradients_;
  std::unique_ptr<SparseGradients> sparse_gradients_;
  std::unique_ptr<StepScalars> scalars_;
  std::unique_ptr<BatchSums> batch_sums_;
  StepPlans plans_;
  Array norm_limbs_;
  std::vector<optim::Gradient> slot_gradients_;  // [slot], for the optimizer

  int leaves_done_ = 0;        // of this rank in this step
  int height_ = 0;             // of the stack of partial sums
  bool leaf_open_ = false;     // a backward has run that step() has not taken yet
  bool accumulating_ = false;  // inside no_sync()
  bool accumulated_ = false;   // gradients of no_sync() passes wait in the leaf's buffers
  StepScalars::Leaf leaf_;
  std::vector<bool> used_;
  std::vector<Array> touched_;
  double max_norm_ = 0;
  std::int64_t steps_done_ = 0;
  StepReport report_;
};

}  // namespace trireme::strategies
