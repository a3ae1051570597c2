#include "trireme/core/nn/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "trireme/core/base/error.h"

namespace trireme::nn {
namespace {

using Visit = std::function<void(const std::string& path, const std::shared_ptr<Module>& module)>;

void visit_below(const Module& module, const std::string& prefix, const Visit& visit) {
  for (const auto& [name, child] : module.children()) {
    const std::string path = prefix.empty() ? name : prefix + "." + name;
    visit(path, child);
    visit_below(*child, path, visit);
  }
}

bool is_below(std::string_view name, std::string_view path) {
  return name.size() > path.size() && name.starts_with(path) && name[path.size()] == '.';
}

// The innermost unit around a name: of several paths that it begins with the longest.
std::size_t unit_of(const std::string& name, const std::vector<Unit>& units) {
  std::size_t found = 0;
  for (std::size_t i = 1; i < units.size(); ++i) {
    if (is_below(name, units[i].path) && units[i].path.size() > units[found].path.size()) {
      found = i;
    }
  }
  return found;
}

void distribute(const Module& model, std::vector<Unit>& units) {
  const std::vector<NamedParameter> names = model.parameters_and_ties();
  for (NamedParameter& parameter : model.parameters()) {
    std::size_t owner = unit_of(parameter.name, units);
    for (const NamedParameter& other : names) {
      if (same_leaf(other.tensor, parameter.tensor) && unit_of(other.name, units) != owner) {
        owner = 0;
      }
    }
    units[owner].parameters.push_back(std::move(parameter));
  }
}

std::vector<Unit> root_unit(const Module& model) { return {{"", std::make_shared<Module>(model), {}}}; }

}  // namespace

std::vector<Unit> units_of(const Module& model) {
  std::vector<Unit> units = root_unit(model);
  visit_below(model, "", [&](const std::string& path, const std::shared_ptr<Module>& module) {
    if (module->is_unit()) {
      units.push_back({path, module, {}});
    }
  });
  distribute(model, units);
  return units;
}

std::vector<Unit> units_of(const Module& model, std::span<const std::string> paths) {
  std::vector<Unit> units = root_unit(model);
  std::vector<std::string> known;
  visit_below(model, "", [&](const std::string& path, const std::shared_ptr<Module>& module) {
    known.push_back(path);
    if (std::ranges::find(paths, path) != paths.end()) {
      units.push_back({path, module, {}});
    }
  });
  for (const std::string& path : paths) {
    require_usage(std::ranges::find(known, path) != known.end(),
                  "units: '{}' given, the path of a module below the model expected: {}", path, fmt::join(known, ", "));
  }
  distribute(model, units);
  return units;
}

std::int64_t checkpoint_activations(const Module& model, bool on) {
  std::int64_t count = 0;
  visit_below(model, "", [&](const std::string& /*path*/, const std::shared_ptr<Module>& module) {
    if (module->is_unit()) {
      module->set_activation_checkpointing(on);
      ++count;
    }
  });
  return count;
}

}  // namespace trireme::nn
