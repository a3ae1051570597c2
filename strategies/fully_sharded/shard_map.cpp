#include "trireme/strategies/fully_sharded/shard_map.h"

#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/core/nn/units.h"
#include "trireme/strategies/fully_sharded/own_rows.h"
#include "trireme/strategies/planned_parameters.h"

namespace trireme::strategies {
ShardMap ShardMap::make(const nn::Module& model, std::vector<nn::NamedParameter> parameters,
                        const std::optional<std::vector<std::string>>& unit_paths, DType param_dtype, int place,
                        int group_size) {
  const std::vector<nn::Unit> units = unit_paths ? nn::units_of(model, *unit_paths) : nn::units_of(model);
  ShardMap map;
  map.parameters = std::move(parameters);
  map.plan = sharding::UnitPlan::make(planned_parameters(model, units), group_size);
  map.place = place;
  map.group_size = group_size;
  map.slot_of.resize(map.parameters.size());
  map.byte_offsets.resize(map.parameters.size());
  for (const nn::NamedParameter& parameter : map.parameters) {
    map.dtypes.push_back(parameter.sparse ? DType::f32 : param_dtype);
  }
  for (const sharding::Unit& unit : map.plan.units) {
    const auto same_path = [&](const nn::Unit& other) { return other.path == unit.path; };
    map.modules.push_back(std::ranges::find_if(units, same_path)->module);
    std::int64_t bytes = 0;
    for (std::size_t slot = 0; slot < unit.parameters.size(); ++slot) {
      const std::size_t i = unit.parameters[slot].index;
      map.slot_of[i] = slot;
      map.byte_offsets[i] = bytes;
      bytes += padded_bytes(unit.parameters[slot].row_offsets.back(), map.dtypes[i]);
    }
    map.unit_bytes.push_back(bytes);
  }
  return map;
}

ShardMap::Piece ShardMap::own(std::size_t i) const {
  const std::vector<std::int64_t>& offsets = placement(i).row_offsets;
  const auto p = static_cast<std::size_t>(place);
  return {offsets[p], offsets[p + 1] - offsets[p]};
}

std::string ShardMap::describe(std::size_t unit) const {
  const sharding::Unit& it = plan.units[unit];
  const std::string label = it.path.empty() ? "the root unit" : "unit " + it.path;
  if (it.parameters.empty()) {
    return label;
  }
  const std::string& first = parameters[it.parameters.front().index].name;
  const std::size_t more = it.parameters.size() - 1;
  return more == 0 ? fmt::format("{} ({})", label, first) : fmt::format("{} ({} and {} more)", label, first, more);
}

}  // namespace trireme::strategies
