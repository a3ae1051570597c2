// Units: the modules of a model whose parameters and activations are handled together (gathered, freed, computed
// again), and which parameter belongs to which.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/core/nn/module.h"

namespace trireme::nn {

struct Unit {
  std::string path;                        // of its module, as its parameters' names begin; "" for the root unit
  std::shared_ptr<Module> module;          // a handle for settings and hooks; of the root unit not to be called
  std::vector<NamedParameter> parameters;  // as the model's parameters() has them, in that order
};

// The model as a partition of its parameters(): the root unit first, which has what no other has, then a unit for each
// marked module in order of registration. A parameter belongs to the innermost unit around it; a leaf that is reached
// from several units (tied) belongs to the root unit.
std::vector<Unit> units_of(const Module& model);
// The same with the modules of these paths as units, marked or not; none: everything is the root unit. Raises a usage
// Error for a path that names no module below the model.
std::vector<Unit> units_of(const Module& model, std::span<const std::string> paths);

// Lets all marked modules below the model compute their activations again in backward instead of keeping them (`on`),
// or not. Returns how many there are; 0: the model has none and nothing changes.
std::int64_t checkpoint_activations(const Module& model, bool on = true);

}  // namespace trireme::nn
