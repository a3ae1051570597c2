// How the commands of `trireme` parse what stands behind their names.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "trireme/core/base/error.h"

namespace trireme::launcher {

// The help text if that is what was asked for; else the app's options are set. `app` is named as its users call it,
// "trireme run". Raises Error (usage) that ends in "see `HELP`", by default the app's own --help.
inline std::optional<std::string> parse_or_help(CLI::App& app, std::vector<std::string> arguments,
                                                std::string help = {}) {
  std::reverse(arguments.begin(), arguments.end());  // CLI11 wants them so
  try {
    app.parse(arguments);
  } catch (const CLI::CallForHelp&) {
    return app.help();
  } catch (const CLI::ParseError& error) {
    fail_usage("{}: {}; see `{}`", app.get_name(), error.what(), help.empty() ? app.get_name() + " --help" : help);
  }
  return std::nullopt;
}

}  // namespace trireme::launcher
