#include "trireme/comm/environment/variables.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "trireme/core/base/error.h"

namespace trireme::comm {

Variables Variables::of_process() {
  Map values;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) {
      values.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return Variables(std::move(values));
}

std::string Variables::text(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::string() : found->second;
}

std::string Variables::first_text(std::initializer_list<std::string_view> names) const {
  const auto* const name = std::find_if(names.begin(), names.end(), [&](std::string_view n) { return has(n); });
  return name == names.end() ? std::string() : text(*name);
}

int Variables::number(std::string_view name, int least, int most) const {
  const std::string value_text = text(name);
  int value = 0;
  const auto [end, error] = std::from_chars(value_text.data(), value_text.data() + value_text.size(), value);
  require(error == std::errc() && end == value_text.data() + value_text.size() && value >= least && value <= most,
          "environment: {}={} given, a number from {} to {} expected; start ranks with `trireme run`, mpirun or srun",
          name, value_text.substr(0, 80), least, most);
  return value;
}

int Variables::number_or(std::string_view name, int least, int most, int otherwise) const {
  return has(name) ? number(name, least, most) : otherwise;
}

Variables Variables::with(std::initializer_list<Map::value_type> values) const {
  Map changed = values_;
  for (const auto& [name, value] : values) {
    changed.insert_or_assign(name, value);
  }
  return Variables(std::move(changed));
}

bool Variables::has_any(std::initializer_list<std::string_view> names) const {
  return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return has(name); });
}

std::string Variables::missing(std::initializer_list<std::string_view> names) const {
  std::string list;
  for (const std::string_view name : names) {
    if (!has(name)) {
      list += (list.empty() ? "" : ", ") + std::string(name);
    }
  }
  return list;
}

}  // namespace trireme::comm
