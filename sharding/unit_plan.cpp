#include "trireme/sharding/unit_plan.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "trireme/sharding/shard_rows.h"

namespace trireme::sharding {
namespace {

template <class Elements>
std::int64_t sum_over(const std::vector<Unit>& units, const Elements& elements) {
  return std::accumulate(units.begin(), units.end(), std::int64_t{0},
                         [&](std::int64_t sum, const Unit& unit) { return sum + elements(unit); });
}

template <class Elements>
std::int64_t pooled(const std::vector<Unit>& units, const Elements& elements) {
  std::map<std::int64_t, std::int64_t> buffers;  // of a size: how many
  for (std::size_t i = 1; i < units.size(); ++i) {
    const std::int64_t size = elements(units[i]);
    const bool twice = i > 1 && elements(units[i - 1]) == size;
    buffers[size] = std::max<std::int64_t>(buffers[size], twice ? 2 : 1);
  }
  ++buffers[elements(units[0])];
  std::int64_t sum = 0;
  for (const auto& [size, count] : buffers) {
    sum += size * count;
  }
  return sum;
}

std::int64_t shard(const Unit& unit, int place, bool only_trained) {
  const auto p = static_cast<std::size_t>(place);
  std::int64_t elements = 0;
  for (const UnitParameter& parameter : unit.parameters) {
    if (!only_trained || parameter.gradient_offset >= 0) {
      elements += padded_to_lines(parameter.row_offsets[p + 1] - parameter.row_offsets[p]);
    }
  }
  return elements;
}

void append(Unit& unit, std::size_t index, const PlannedParameter& parameter, int group_size) {
  const std::int64_t elements = padded_to_lines(parameter.shape.count());
  UnitParameter place{index, unit.elements, -1, row_offsets(parameter.shape, group_size)};
  unit.elements += elements;
  if (parameter.dense_gradient) {
    place.gradient_offset = unit.gradient_elements;
    unit.gradient_elements += elements;
  }
  unit.parameters.push_back(std::move(place));
}

}  // namespace

UnitPlan UnitPlan::make(std::span<const PlannedParameter> parameters, int group_size) {
  UnitPlan plan;
  plan.units.push_back({});
  std::map<std::string, std::size_t> known{{"", 0}};
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::string& path = parameters[i].unit;
    const auto [at, is_new] = known.emplace(path, plan.units.size());
    if (is_new) {
      plan.units.push_back({});
      plan.units.back().path = path;
    }
    plan.unit_of.push_back(at->second);
    append(plan.units[at->second], i, parameters[i], group_size);
  }
  return plan;
}

std::int64_t UnitPlan::pooled_elements() const {
  return pooled(units, [](const Unit& unit) { return unit.elements; });
}
std::int64_t UnitPlan::pooled_gradient_elements() const {
  return pooled(units, [](const Unit& unit) { return unit.gradient_elements; });
}
std::int64_t UnitPlan::elements() const {
  return sum_over(units, [](const Unit& unit) { return unit.elements; });
}
std::int64_t UnitPlan::gradient_elements() const {
  return sum_over(units, [](const Unit& unit) { return unit.gradient_elements; });
}
std::int64_t UnitPlan::shard_elements(const Unit& unit, int place) { return shard(unit, place, false); }
std::int64_t UnitPlan::shard_gradient_elements(const Unit& unit, int place) { return shard(unit, place, true); }

}  // namespace trireme::sharding
