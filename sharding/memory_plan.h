// How many bytes the rank that needs most of them will use, by kind and by phase of a step, before anything is
// allocated. Pure arithmetic.
//
// With P parameters in f32, K states of an optimizer (Adam: 2) and n ranks in a shard group (Rajbhandari et al., "ZeRO:
// Memory Optimizations Toward Training Trillion Parameter Models", 2020, section 5 and figure 1, for f32 throughout):
//
//                       mirrored        stage 1             stage 2              stage 3
//     parameters        4 P             4 P                 4 P                  4 P / n
//     gradients         4 P             4 P                 4 P / n              4 P / n
//     optimizer state   4 K P           4 K P / n           4 K P / n            4 K P / n
//     with Adam         16 P            8 P + 8 P / n       4 P + 12 P / n       16 P / n
//
// At stage 1 gradients are whole where a rank adds up lanes, else as at stage 2 (docs/fully_sharded.md).
// Where the ranks of a group share memory, parameters are 4 P / n in every stage: they are mapped by all, and a page
// counts for the rank that owns its rows. To these persistent bytes come those of a step in progress, which depend on
// units and lanes, not on n: buffers of whole units, partial sums of lanes, activations.
// Exact to the padding of blocks; rows that do not divide by n are rounded up, as shard_rows.h gives them out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "trireme/sharding/training_shape.h"

namespace trireme::sharding {

enum class MemoryKind : std::uint8_t {
  parameters,       // persistent; in a narrower dtype too where forward and backward read one
  gradients,        // persistent: the reduced ones
  optimizer_state,  // persistent
  lane_partials,    // sums of finished lanes that wait for their sibling in the lane tree
  unit_parameters,  // units that are whole just now: the root, the running one and the one fetched ahead
  unit_gradients,   // likewise: the root's, the running unit's and the one in reduction
  activations,      // what forward keeps for backward, and temporaries of both
  other,            // the program itself, its data and batches, blocks that the allocator keeps
};
inline constexpr std::size_t kMemoryKinds = 8;
std::string_view name_of(MemoryKind kind);

enum class MemoryPhase : std::uint8_t { between_steps, forward, backward, update };
inline constexpr std::size_t kMemoryPhases = 4;
std::string_view name_of(MemoryPhase phase);

// What the model and the program need besides, in bytes; zeros where nothing is known.
struct StepMemory {
  std::int64_t forward_peak = 0;   // activations: the most alive at once during a leaf's forward pass
  std::int64_t backward_peak = 0;  // and during its backward pass
  std::int64_t reserved = 0;       // what the allocator holds for them from the first step on, in every phase
  std::int64_t other = 0;          // see MemoryKind::other
};

struct MemoryPlan {
  std::array<std::array<std::int64_t, kMemoryPhases>, kMemoryKinds> bytes{};  // [kind][phase]

  std::int64_t at(MemoryKind kind, MemoryPhase phase) const {
    return bytes[static_cast<std::size_t>(kind)][static_cast<std::size_t>(phase)];
  }
  std::int64_t total(MemoryPhase phase) const;
  std::int64_t most_of(MemoryKind kind) const;  // over the phases
  std::int64_t persistent() const;              // parameters, gradients and optimizer state
  std::int64_t peak() const;
  MemoryPhase peak_phase() const;

  // Raises Error (usage) for a shape that cannot be: a shard group that does not divide the ranks, fewer lanes than
  // ranks, a stage that is not 0 to 3.
  static MemoryPlan make(const TrainingShape& shape, std::span<const PlannedParameter> parameters,
                         const StepMemory& step = {});
};

}  // namespace trireme::sharding
