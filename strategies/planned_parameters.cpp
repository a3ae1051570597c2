#include "trireme/strategies/planned_parameters.h"

#include <unordered_map>
#include <unordered_set>

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

std::vector<sharding::PlannedParameter> planned_on_worker(const nn::Module& model) {
  std::unordered_set<std::string> tables;
  for (const nn::NamedParameter& parameter : model.parameters()) {
    if (parameter.sparse && parameter.tensor.requires_grad()) {
      tables.insert(parameter.name);
    }
  }
  std::vector<sharding::PlannedParameter> planned = planned_parameters(model);
  std::erase_if(planned, [&](const sharding::PlannedParameter& known) { return tables.contains(known.name); });
  return planned;
}

sharding::OptimizerStates states_of(const optim::Optimizer& optimizer) {
  const auto states = static_cast<std::int64_t>(optimizer.state_names().size());
  return optimizer.state_per_row() ? sharding::OptimizerStates{0, states} : sharding::OptimizerStates{states, 0};
}

}  // namespace trireme::strategies
