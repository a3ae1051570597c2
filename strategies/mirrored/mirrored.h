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
};

class Mirrored final : public LaneStrategy {
 public:
  explicit Mirrored(comm::World world, const MirroredOptions& options = {});

  std::vector<sharding::StateTensor> state() override;
  std::vector<nn::NamedParameter> full_parameters() override;
  std::string_view name() const override { return "mirrored"; }

 protected:
  void place_parameters() override;
  std::unique_ptr<GradientReduction> make_gradients(std::vector<TrainedParameter> trained) override;
  std::vector<optim::Slot> make_slots() override;
  void after_update() override { gradients_->rebuild(); }

 private:
  MirroredOptions options_;
  GradientBuckets* gradients_ = nullptr;  // the base's
};

}  // namespace trireme::strategies
