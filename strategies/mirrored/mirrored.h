// Mirrored: every rank holds the whole model and optimizer state; gradients are averaged each step (PyTorch's
// DistributedDataParallel, TensorFlow's MirroredStrategy and MultiWorkerMirroredStrategy).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "trireme/strategies/lane_strategy.h"
#include "trireme/strategies/mirrored/gradient_buckets.h"

namespace trireme::strategies {

struct MirroredOptions {
  std::uint64_t seed = 0;                    // of initial values that the model does not have yet
  std::size_t first_bucket_bytes = 1 << 20;  // small, so that communication starts early in backward
  std::size_t bucket_bytes = 25 << 20;
  // fast: each rank adds its lanes into one sum and the backend reduces these as it likes. Bits of the gradients then
  // depend on the number of ranks and on the backend; loss, weights and norm are added exactly as ever.
  comm::ReduceOrder reduce_order = comm::ReduceOrder::canonical;
  // bf16: forward and backward read copies of the parameters that are rounded after each update, so matrix products are
  // bf16 products. What the optimizer updates, gradients, and all that state() and whole_parameters() show stay f32.
  // Tables with lazy row updates (sparse) have no copies: rounding them would touch every row in every step.
  DType param_dtype = DType::f32;
};

class Mirrored final : public LaneStrategy {
 public:
  explicit Mirrored(comm::World world, const MirroredOptions& options = {});

  // What memory and traffic plans must know of these options; see FullySharded::shape_of.
  static sharding::TrainingShape shape_of(const MirroredOptions& options);
  // Leaves the model with its f32 values.
  ~Mirrored() override;

  std::vector<sharding::StateTensor> state() override;
  void state_written() override { round_copies(); }
  std::vector<WholeParameter> whole_parameters() override;
  std::string_view name() const override { return "mirrored"; }

 protected:
  sharding::TrainingShape training_shape() const override { return shape_of(options_); }
  void place_parameters() override;
  std::unique_ptr<GradientReduction> make_gradients(std::vector<TrainedParameter> trained) override;
  std::vector<optim::Slot> make_slots() override;
  void after_update() override;

 private:
  struct Copy {
    Array value;
    Array rounded;  // bf16, the leaf's compute value
  };

  void make_copies();
  void round_copies();

  MirroredOptions options_;
  std::vector<Array> values_;             // [parameter], f32: views of one block
  std::vector<Copy> copies_;              // mixed precision only: of the parameters that are not sparse
  GradientBuckets* gradients_ = nullptr;  // the base's
};

}  // namespace trireme::strategies
