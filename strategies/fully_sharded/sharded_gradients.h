// ShardedGradients: where a rank's gradients are, unit by unit, and how they become the rows of their owners.
//
// A unit's gradients lie side by side in one buffer; there is one for each partial sum that the lane plan keeps alive.
// Backward writes straight into the buffer on top of the stack. When a unit is complete the additions that are due are
// made, and after the rank's last leaf one reduce_scatter_parts a parameter gives each rank its rows, units in one
// fixed order (the last one first, the root unit at the end), while backward goes on.
//
// In fast order with a narrower reduce_dtype a rank rounds its one sum to that, in place, and rows arrive in it.
//
// What stays from step to step are the reduced rows; buffers come from a pool, and at most kUnitsInFlight of them are
// in use besides the root's and waiting partial sums: they are small enough to stay in the processor's cache. Stage 1,
// once a rank has partial sums, keeps all buffers instead, and its reduced rows are a part of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/strategies/fully_sharded/bf16_in_place.h"
#include "trireme/strategies/fully_sharded/buffer_pool.h"
#include "trireme/strategies/fully_sharded/reduction_steps.h"
#include "trireme/strategies/fully_sharded/shard_map.h"
#include "trireme/strategies/gradient_reduction.h"

namespace trireme::strategies {

// The ranks among which rows are shared, and those that hold the same rows.
struct ShardRanks {
  sharding::HybridGroups groups;
  std::shared_ptr<comm::Communicator> group;
  std::shared_ptr<comm::Communicator> replicas;  // null: one group
};

class ShardedGradients {
 public:
  struct Options {
    int zero_stage = 3;
    comm::ReduceOrder order = comm::ReduceOrder::canonical;
    // bf16: each lane's gradient is rounded to it before anything is added; in fast order the rank's sum, which is sent
    // so, and the result.
    DType reduce_dtype = DType::f32;
  };

  ShardedGradients(ShardRanks ranks, std::shared_ptr<const ShardMap> map, std::vector<TrainedParameter> trained,
                   int rank, const Options& options);
  ~ShardedGradients();
  ShardedGradients(const ShardedGradients&) = delete;
  ShardedGradients& operator=(const ShardedGradients&) = delete;

  // A leaf begins. `allowed`: units may be reduced as soon as they are complete; else allow() says when.
  void open_leaf(const LeafPlace& place, bool allowed);
  // This rank has no leaf: every unit is complete, without parts.
  void open_without_parts(const StepPlan& plan, bool allowed);
  // Gradients of the unit are about to arrive: they will be written to its buffer.
  void open_unit(std::size_t unit);
  // All gradients of the unit in this leaf have arrived; those that have not count as zero.
  void complete_unit(std::size_t unit);
  void complete_all();
  void allow(std::size_t unit);
  void allow_all();
  // Waits until fewer than kUnitsInFlight units are in reduction. All ranks do so at the same places.
  void limit_in_flight();
  // Another backward pass of the leaf follows, for which it is to be opened again: this one is reduced, and its rows
  // wait for finish() to add them to the last one's. Blocks.
  void keep_pass();
  void finish();

  bool used(std::size_t trained) const { return used_[trained] || (keeping_ && kept_used_[trained]); }
  Array reduced(std::size_t trained) const { return rows_[trained]; }
  void scale(double factor);
  const std::vector<TrainedParameter>& trained() const { return trained_; }
  std::size_t units() const { return units_.size(); }

  static constexpr std::size_t kUnitsInFlight = 2;

 private:
  struct Entry {
    std::size_t trained;
    const sharding::UnitParameter* parameter;
  };
  struct Unit {
    std::vector<Entry> entries;
    std::int64_t elements = 0;
    std::vector<Array> levels;  // [height]: undefined where there is no partial sum
    bool open = false;
    bool complete = false;
    bool allowed = false;
    std::vector<comm::Work> works;  // of its reduction; kept for its capacity
  };

  Array view(const Array& level, const Entry& entry) const;
  bool is_trained(std::size_t parameter) const { return map_->placement(parameter).gradient_offset >= 0; }
  std::vector<Array> own_rows() const;
  void prepare_rows(int depth);
  void ensure_level(Unit& unit, std::size_t height);
  void release_level(Unit& unit, std::size_t height);
  void take_gradients(Unit& unit);
  std::size_t unit_at(std::size_t position) const { return units_.size() - 1 - position; }
  void start_reductions();
  void start_inside(Unit& unit);
  void finish_inside(Unit& unit);
  void start_across(Unit& unit);
  void take_rows(const Unit& unit);
  void wait();
  const Array& inside_rows(std::size_t node, std::size_t trained);
  bool sends_bf16() const { return options_.order == comm::ReduceOrder::fast && options_.reduce_dtype == DType::bf16; }
  Array as_received(const Array& rows) const { return sends_bf16() ? last_half(rows) : rows; }

  ShardRanks ranks_;
  std::shared_ptr<const ShardMap> map_;
  std::vector<TrainedParameter> trained_;
  Options options_;
  BufferPool pool_;
  ReductionStepsCache cache_;
  std::vector<Unit> units_;
  std::vector<Array> rows_;                    // [trained]: the reduced gradient of own rows, flat
  std::vector<std::vector<Array>> node_rows_;  // [node - 1][trained]: hybrid, of nodes beyond the first
  std::vector<std::string> names_;             // [trained]
  std::vector<bool> used_;                     // [trained], in this pass
  bool keeping_ = false;                       // there are earlier passes of this leaf:
  std::vector<Array> kept_rows_;               // [trained], their sum
  std::vector<bool> kept_used_;                // [trained]

  bool keeps_all_ = false;  // buffers of whole units
  int height_ = 0;
  int merges_ = 0;
  const ReductionSteps* steps_ = nullptr;
  std::size_t started_ = 0;          // units whose reduction has started, and
  std::size_t finished_ = 0;         // whose inside part is over: positions in the fixed order
  std::vector<comm::Part> scratch_;  // kept for its capacity
};

}  // namespace trireme::strategies
