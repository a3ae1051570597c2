// A model as sharding's plans see it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trireme/core/nn/units.h"
#include "trireme/core/optim/optimizer.h"
#include "trireme/sharding/training_shape.h"

namespace trireme::strategies {

// The model's parameters() with the units that they belong to. Nothing needs to have values yet.
std::vector<sharding::PlannedParameter> planned_parameters(const nn::Module& model, const std::vector<nn::Unit>& units);
std::vector<sharding::PlannedParameter> planned_parameters(const nn::Module& model);
// Those that a worker of parameter servers holds: all but sparse tables.
std::vector<sharding::PlannedParameter> planned_on_worker(const nn::Module& model);

// What the optimizer will keep.
sharding::OptimizerStates states_of(const optim::Optimizer& optimizer);

}  // namespace trireme::strategies
