#include "trireme/strategies/planned_parameters.h"

#include <unordered_map>

namespace trireme::strategies {

std::vector<sharding::PlannedParameter> planned_parameters(const nn::Module& model,
                                                           const std::vector<nn::Unit>& units) {
  std::unordered_map<std::string, std::string> unit_of;
  for (const nn::Unit& unit : units) {
    for (const nn::NamedParameter& parameter : unit.parameters) {
      unit_of.emplace(parameter.name, unit.path);
    }
  }
  std::vector<sharding::PlannedParameter> planned;
  for (const nn::NamedParameter& parameter : model.parameters()) {
    planned.push_back({parameter.name, parameter.tensor.shape(), parameter.tensor.requires_grad() && !parameter.sparse,
                       unit_of.at(parameter.name)});
  }
  return planned;
}

std::vector<sharding::PlannedParameter> planned_parameters(const nn::Module& model) {
  return planned_parameters(model, nn::units_of(model));
}

sharding::OptimizerStates states_of(const optim::Optimizer& optimizer) {
  const auto states = static_cast<std::int64_t>(optimizer.state_names().size());
  return optimizer.state_per_row() ? sharding::OptimizerStates{0, states} : sharding::OptimizerStates{states, 0};
}

}  // namespace trireme::strategies
