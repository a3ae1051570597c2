// Which parameters a model has, in which units they are, and which rows of them this rank owns: what the parts of fully
// sharded training have in common. Plain data, the same on all ranks but for `place`.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trireme/core/nn/module.h"
#include "trireme/sharding/unit_plan.h"

namespace trireme::strategies {

struct ShardMap {
  // A run of elements of a flat parameter.
  struct Piece {
    std::int64_t first = 0;
    std::int64_t count = 0;
  };

  std::vector<nn::NamedParameter> parameters;        // of the model, in its order; handles of its tensors
  sharding::UnitPlan plan;                           // the root unit first
  std::vector<std::shared_ptr<nn::Module>> modules;  // [unit]: for hooks
  std::vector<DType> dtypes;                         // [parameter]: of what forward and backward read
  std::vector<std::int64_t> byte_offsets;            // [parameter]: in its unit's buffer of whole values
  std::vector<std::int64_t> unit_bytes;              // [unit]: of that buffer
  int place = 0;                                     // of this rank in its shard group
  int group_size = 1;

  // `unit_paths`: the modules that are units; nothing: those that the model has marked. `param_dtype`: of what forward
  // and backward read; of sparse tables always f32, because to round one would touch all its rows in every step.
  static ShardMap make(const nn::Module& model, std::vector<nn::NamedParameter> parameters,
                       const std::optional<std::vector<std::string>>& unit_paths, DType param_dtype, int place,
                       int group_size);

  // What this rank owns of parameter i, in elements.
  Piece own(std::size_t i) const;
  bool owns_nothing(std::size_t i) const { return own(i).count == 0; }
  // "unit transformer.h.3 (transformer.h.3.ln_1.weight and 11 more)", for messages.
  std::string describe(std::size_t unit) const;

  const sharding::UnitParameter& placement(std::size_t i) const {
    return plan.units[plan.unit_of[i]].parameters[slot_of[i]];
  }

  std::vector<std::size_t> slot_of;  // [parameter]: its place in its unit's list
};

}  // namespace trireme::strategies
