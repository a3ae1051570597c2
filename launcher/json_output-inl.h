// One JSON object for scripts, on stdout. Included by sources only.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace trireme::launcher {

// Bytes of paths and names that are no UTF-8 come out as U+FFFD.
inline void print_json(const nlohmann::json& object) {
  fmt::print("{}\n", object.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace trireme::launcher
