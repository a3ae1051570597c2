// Log lines on stderr: "trireme [rank 1] info: text". Library code logs what a user must know and never prints
// otherwise.
#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace trireme::log {

enum class Level { debug, info, warning, error, off };

// The least level that is written (default: info, or the environment's TRIREME_LOG_LEVEL); process wide.
void set_level(Level level);
bool enabled(Level level);
// Shown in every later line of this process; launched ranks set it once at start. Empty: none.
void set_prefix(std::string_view prefix);
// Writes one line, thread-safe; never throws.
void write(Level level, std::string_view text) noexcept;

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) {
    write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) {
    write(Level::info, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warning)) {
    write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
  }
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) {
    write(Level::error, fmt::format(format, std::forward<Args>(args)...));
  }
}

}  // namespace trireme::log
