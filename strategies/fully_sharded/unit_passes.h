// UnitPasses: what happens around each unit's forward and backward: the hooks that a fully sharded model's modules get.
//
// Forward: before a unit runs its parameters are made whole, and the next unit's are started; behind it they go again
// (home permitting). Backward: a node on the unit's output makes them whole again and gives its gradients a place, with
// the unit before it started; a node on its input, which runs when all gradients of the unit have arrived, starts their
// reduction and lets the parameters go. What belongs to no unit (the root unit) is whole from the first forward to the
// end of backward.
//
// Every rank starts the same collectives in the same order. A rank with fewer leaves than the others therefore replays
// the events of its last pass without computing (a ghost pass), where units come and go; the reductions wait for the
// last pass then.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "trireme/core/nn/hooks.h"
#include "trireme/strategies/fully_sharded/parameter_home.h"
#include "trireme/strategies/fully_sharded/sharded_gradients.h"

namespace trireme::strategies {

// Used by the rank's one training thread.
class UnitPasses final : public GradientReduction {
 public:
  // `reduces_each_pass`: under no_sync() too; what adds up are rows.
  UnitPasses(std::shared_ptr<const ShardMap> map, std::shared_ptr<ParameterHome> home,
             std::unique_ptr<ShardedGradients> gradients, int rank, int world_size, bool reduces_each_pass);
  // Removes the hooks. Tapes that are still alive keep working on their own values, if those are still there.
  ~UnitPasses() override;
  UnitPasses(const UnitPasses&) = delete;
  UnitPasses& operator=(const UnitPasses&) = delete;

  void open_leaf(const LeafPlace& place) override;
  void begin_pass(bool last) override;
  void end_leaf(std::vector<bool>& used) override;
  void reduce_without_parts(const StepPlan& plan) override;
  void finish() override;
  Array reduced(std::size_t i) const override { return gradients_->reduced(i); }
  Array rows_for_norm(std::size_t i) const override { return gradients_->reduced(i); }
  void scale(double factor) override { gradients_->scale(factor); }

 private:
  class Hooks;
  // What nodes of a tape know of this object and their unit; outlives both.
  struct Link {
    UnitPasses* passes = nullptr;  // null: the strategy is gone
    std::size_t unit = 0;
    int tapes = 0;  // nodes of this unit whose backward has not run yet
  };
  // Held by a node of a tape.
  class Token;
  enum class Event : std::uint8_t { before_forward, after_forward, before_backward, after_backward };
  struct UnitPass {
    std::shared_ptr<Link> link;
    bool seen = false;             // its forward has run in this pass, to be walked backward
    bool announced = false;        // a node on its output will tell when its backward begins
    std::size_t next = kNone;      // what is made whole after it in forward,
    std::size_t previous = kNone;  // and in backward
  };
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  void before_forward(std::size_t unit);
  Tensor enter(std::size_t unit, const Tensor& input);
  Tensor leave(std::size_t unit, const Tensor& output);
  void after_forward(std::size_t unit, bool completed) noexcept;
  void before_backward(std::size_t unit);
  void after_backward(std::size_t unit);

  void require_in_place() const;
  void open_gradients();
  void record_event(Event event, std::size_t unit);
  void carry_out(Event event, std::size_t unit);
  void make_whole(std::size_t unit, std::size_t ahead);
  void end_pass();
  void run_ghosts(std::int64_t count);
  void learn_order();
  std::int64_t most_leaves(const StepPlan& plan);
  bool moves() const { return home_->moves_in_steps(); }

  std::shared_ptr<const ShardMap> map_;
  std::shared_ptr<ParameterHome> home_;
  std::unique_ptr<ShardedGradients> gradients_;
  int rank_;
  int world_size_;
  std::vector<UnitPass> units_;
  std::vector<std::pair<Event, std::size_t>> events_;       // of the pass in progress, and
  std::vector<std::pair<Event, std::size_t>> last_events_;  // of the last whole one: what a ghost pass replays
  std::size_t last_forward_ = kNone;  // the unit whose backward comes first: it stays whole in between
  bool order_known_ = false;          // from the second step on, on all ranks

  bool reduces_each_pass_;
  LeafPlace place_;           // of the open leaf
  bool completes_ = false;    // what is complete in this pass is reduced
  bool is_followed_ = false;  // another pass of this leaf comes, and this one is reduced by itself
  std::int64_t ghosts_ = 0;   // passes of others that this rank has no leaf for
  std::vector<std::pair<const StepPlan*, std::int64_t>> most_leaves_;
};

}  // namespace trireme::strategies
