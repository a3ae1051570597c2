// ParameterHome: where the values of a sharded model live, and when they are whole.
//
// Two homes. Mapped, where the ranks of a shard group share memory: one block that all of them map, of which each
// updates its own rows; nothing is ever gathered. Gathered, everywhere else: each rank keeps its rows, and a unit's
// parameters are gathered into a buffer while they are needed. See docs/fully_sharded.md.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/strategies/fully_sharded/shard_map.h"

namespace trireme::strategies {

// Used by the rank's one training thread. "Collective" is over the ranks of the shard group.
class ParameterHome {
 public:
  virtual ~ParameterHome() = default;

  // This rank's rows of parameter i, flat, f32: what the optimizer updates and checkpoints hold.
  virtual const Array& rows(std::size_t i) const = 0;
  // The parameters' tensors become views of this home, whose rows have their first values. Collective.
  virtual void adopt() = 0;
  // Rows have changed on every rank: what forward reads is renewed. Collective. Nothing given: those of all parameters;
  // else a step has changed trained ones, of sparse tables the rows touched[parameter] (ascending; undefined: none).
  using Touched = std::optional<std::span<const Array>>;
  virtual void publish(Touched touched) = 0;
  // The whole value of a parameter, f32, between steps; until the next is asked for, or the next step. Collective.
  virtual Array whole(std::size_t i) = 0;
  // Whether the parameter's tensor still is a view of this home.
  virtual bool holds(std::size_t i) const = 0;

  // By communicators of its own, besides the group's.
  virtual std::uint64_t bytes_moved_apart() const { return 0; }

  // Whether units come and go during a step, so that all ranks must follow the same sequence of the calls below.
  virtual bool moves_in_steps() const { return false; }
  // Starts to make the unit whole, unless it is or is being made so. Collective, does not block.
  virtual void start_unshard(std::size_t /*unit*/) {}
  // Returns when the unit is whole, starting it if need be.
  virtual void unshard(std::size_t /*unit*/) {}
  // The unit is not needed before its backward pass; and: not before the next pass.
  virtual void reshard_after_forward(std::size_t /*unit*/) {}
  virtual void reshard(std::size_t /*unit*/) noexcept {}
  // Waits for what was started and is not needed after all, before rows change. Collective.
  virtual void settle() {}
};

struct HomeOptions {
  int zero_stage = 3;
  bool share = true;              // map the parameters where ranks share memory
  bool separate_masters = false;  // the optimizer's rows lie apart from what forward reads (offloaded, or wider)
  int reshard_group = 0;          // ranks over which a unit is spread from forward to backward: 0: all, 1: it stays
};

// Collective over `group`, the ranks that share the rows.
std::unique_ptr<ParameterHome> make_home(std::shared_ptr<comm::Communicator> group, const ShardMap& map,
                                         const HomeOptions& options);
// The whole of parameter i from the rows that each rank has. Collective; blocks.
Array gather_rows(comm::Communicator& group, const ShardMap& map, std::size_t i, const Array& rows);
// Null on all ranks if they do not share memory.
std::unique_ptr<ParameterHome> make_mapped_home(std::shared_ptr<comm::Communicator> group, const ShardMap& map,
                                                const HomeOptions& options);
std::unique_ptr<ParameterHome> make_gathered_home(std::shared_ptr<comm::Communicator> group, const ShardMap& map,
                                                  const HomeOptions& options);

}  // namespace trireme::strategies
