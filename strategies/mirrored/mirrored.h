// Mirrored: every rank holds the whole model and optimizer state; gradients are averaged each step (PyTorch's
// DistributedDataParallel, TensorFlow's MirroredStrategy and MultiWorkerMirroredStrategy).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "trireme/strategies/batch_sums.h"
#include "trireme/strategies/mirrored/gradient_buckets.h"
#include "trireme/strategies/step_plans.h"
#include "trireme/strategies/step_scalars.h"
#include "trireme/strategies/strategy.h"

namespace trireme::strategies {

struct MirroredOptions {
  std::uint64_t seed = 0;                    // of initial values that the model does not have yet
  std::size_t first_bucket_bytes = 1 << 20;  // small, so that communication starts early in backward
  std::size_t bucket_bytes = 25 << 20;
  // fast: each rank adds its lanes into one sum and the backend reduces these as it likes. Bits of the gradients then
  // depend on the number of ranks and on the backend; loss, weights and norm are added exactly as ever.
  comm::ReduceOrder reduce_order = comm::ReduceOrder::canonical;
};

// Used by the rank's one training thread. Not copyable: the model's gradients point into it.
class Mirrored final : public Strategy {
 public:
  explicit Mirrored(comm::World world, const MirroredOptions& options = {});
  ~Mirrored() override;
  Mirrored(const Mirrored&) = delete;
  Mirrored& operator=(const Mirrored&) = delete;

  void prepare(nn::Module& model, optim::Optimizer& optimizer) override;
  bool step() override;
  void clip_grad_norm(double max_norm) override;
  std::vector<sharding::StateTensor> state() override;
  std::vector<nn::NamedParameter> full_parameters() override;
  std::string_view name() const override { return "mirrored"; }
  const StepReport& report() const override { return report_; }
  comm::Communicator& communicator() override { return *world_.communicator(); }
  NoSync no_sync() override { return NoSync(accumulating_); }

  double begin_backward(const Array& loss, double weight, bool weight_depends_on_data) override;
  void run_idle_step() override;
  void sum_over_batch(const Array& values, std::string_view name) override;

 private:
  void place_parameters();
  void attach_optimizer();
  const StepPlan& current_plan();
  void finish_step(const StepPlan& plan);
  double global_grad_norm();

  comm::World world_;
  MirroredOptions options_;
  nn::Module* model_ = nullptr;
  optim::Optimizer* optimizer_ = nullptr;
  std::vector<nn::NamedParameter> parameters_;
  std::vector<nn::NamedBuffer> model_buffers_;
  std::unique_ptr<GradientBuckets> gradients_;
  std::unique_ptr<StepScalars> scalars_;
  std::unique_ptr<BatchSums> batch_sums_;
  StepPlans plans_;
  Array norm_limbs_;
  std::vector<std::size_t> slot_of_trained_;  // trained parameter -> optimizer slot
  std::vector<Array> flat_gradients_;         // [slot], for the optimizer

  int leaves_done_ = 0;        // of this rank in this step
  int height_ = 0;             // of the stack of partial sums
  bool leaf_open_ = false;     // a backward has run that step() has not taken yet
  bool accumulating_ = false;  // inside no_sync()
  bool accumulated_ = false;   // gradients of no_sync() passes wait in the leaf's buffers
  StepScalars::Leaf leaf_;
  std::vector<bool> used_;
  double max_norm_ = 0;
  std::int64_t steps_done_ = 0;
  StepReport report_;
};

}  // namespace trireme::strategies
