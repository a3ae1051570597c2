#include "trireme/core/base/log.h"

#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/spdlog.h>

#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>

namespace trireme::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
    case Level::off:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

// Colour only where a person looks, and never against their wish (NO_COLOR).
std::shared_ptr<spdlog::logger> make_logger() {
  const bool plain = std::getenv("NO_COLOR") != nullptr;
  auto sink = std::make_shared<spdlog::sinks::ansicolor_stderr_sink_mt>(plain ? spdlog::color_mode::never
                                                                              : spdlog::color_mode::automatic);
  auto logger = std::make_shared<spdlog::logger>("trireme", std::move(sink));
  logger->set_pattern("trireme %^%l%$: %v");
  const char* wanted = std::getenv("TRIREME_LOG_LEVEL");
  logger->set_level(wanted == nullptr ? spdlog::level::info : spdlog::level::from_str(wanted));
  return logger;
}

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = make_logger();
  return *instance;
}

}  // namespace

void set_level(Level level) { logger().set_level(to_spdlog(level)); }

bool enabled(Level level) { return logger().should_log(to_spdlog(level)); }

void set_prefix(std::string_view prefix) {
  logger().set_pattern(prefix.empty() ? "trireme %^%l%$: %v" : fmt::format("trireme [{}] %^%l%$: %v", prefix));
}

void write(Level level, std::string_view text) noexcept {
  try {
    logger().log(to_spdlog(level), text);
  } catch (...) {  // a log line is never worth a failure
  }
}

}  // namespace trireme::log
