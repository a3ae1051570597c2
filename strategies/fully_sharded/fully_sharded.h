// FullySharded: parameters, gradients and optimizer state are spread over the ranks (ZeRO stages 1, 2 and 3; PyTorch's
// FSDP2), with mirrored training's bits. docs/fully_sharded.md says what lives where and when.
//
// Each rank owns rows (dim 0) of every parameter and updates only these. The stages are three lifetimes of one
// mechanism: 1, optimizer state is sharded; 2, reduced gradients too; 3, parameters too: a unit's (a transformer block)
// are whole only while it runs. Where ranks share memory parameters are mapped instead, in every stage.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "trireme/strategies/fully_sharded/parameter_home.h"
#include "trireme/strategies/fully_sharded/sharded_gradients.h"
#include "trireme/strategies/lane_strategy.h"

namespace trireme::strategies {

struct FullyShardedOptions {
  std::uint64_t seed = 0;  // of initial values that the model does not have yet
  int zero_stage = 3;
  // Stage 3 without shared memory: what becomes of a unit's parameters between its forward and its backward. true: they
  // go, false: they stay, N: they are spread over N neighbouring ranks only (a divisor of the shard group).
  std::variant<bool, int> reshard_after_forward = true;
  // Ranks among which rows are shared; the others hold copies (hybrid sharding). 0: all.
  int shard_group = 0;
  // Paths of the modules that are units; nothing: those that the model has marked.
  std::optional<std::vector<std::string>> units = {};
  // fast: each rank adds its lanes into one sum. Bits of the gradients then depend on the number of ranks.
  comm::ReduceOrder reduce_order = comm::ReduceOrder::canonical;
  // bf16: forward and backward read parameters that their owners have rounded after each update, and matrix products
  // are bf16 products. The optimizer's rows, gradients, checkpoints and all that state() and full_parameters() show are
  // f32. Of sparse tables nothing is rounded.
  DType param_dtype = DType::f32;
  // bf16: each lane's gradient is rounded to it before anything is added; sums are f32.
  DType reduce_dtype = DType::f32;
  // Keep the optimizer's rows and state in the host's memory, apart from what the device computes with.
  bool cpu_offload = false;
  // Map parameters where ranks share memory. False: as if they did not.
  bool share_memory = true;
};

class FullySharded final : public LaneStrategy {
 public:
  // Raises a usage Error for options that do not fit each other or the world.
  explicit FullySharded(comm::World world, const FullyShardedOptions& options = {});

  // What memory and traffic plans must know of these options; lanes and the optimizer's states are for others to add.
  // `one_host`: the ranks of a shard group share memory. Raises a usage Error as the constructor does.
  static sharding::TrainingShape shape_of(const FullyShardedOptions& options, int world_size, bool one_host);

  std::vector<sharding::StateTensor> state() override;
  void state_written() override;
  std::vector<WholeParameter> whole_parameters() override;
  std::string_view name() const override { return "fully_sharded"; }
  std::uint64_t bytes_moved() override;

 protected:
  sharding::TrainingShape training_shape() const override;
  void place_parameters() override;
  std::unique_ptr<GradientReduction> make_gradients(std::vector<TrainedParameter> trained) override;
  std::vector<optim::Slot> make_slots() override;
  comm::Communicator& norm_ranks() override { return *ranks_.group; }
  void after_update() override { home_->publish(touched_rows()); }

 private:
  void fill_rows();
  sharding::StateTensor state_tensor(std::string name, const Shape& shape, const Array& rows) const;

  FullyShardedOptions options_;
  ShardRanks ranks_;
  std::shared_ptr<const ShardMap> map_;
  std::shared_ptr<ParameterHome> home_;
};

}  // namespace trireme::strategies
