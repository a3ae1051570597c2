#include "trireme/training/progress_line.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"

namespace trireme::training {
namespace {

constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr auto kLogInterval = std::chrono::seconds(5);

bool wants_color() {
  const char* term = std::getenv("TERM");
  return std::getenv("NO_COLOR") == nullptr && term != nullptr && std::string_view(term) != "dumb";
}

}  // namespace

ProgressMode progress_mode_from_name(std::string_view name) {
  if (name == "auto") {
    return ProgressMode::automatic;
  }
  if (name == "bar") {
    return ProgressMode::bar;
  }
  if (name == "log") {
    return ProgressMode::log;
  }
  require_usage(name == "off", "--progress: '{}' given, auto|bar|log|off expected", name);
  return ProgressMode::off;
}

std::string bar_text(double share, int length, bool color) {
  const auto full = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * length);
  std::string filled(full, '=');
  std::string rest(static_cast<std::size_t>(length) - full, ' ');
  if (!rest.empty()) {
    rest[0] = '>';
  }
  return color ? fmt::format("[\033[36m{}\033[0m{}]", filled, rest) : fmt::format("[{}{}]", filled, rest);
}

std::string short_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::clamp(seconds, 0.0, 3.6e9));
  if (whole < 60) {
    return fmt::format("{}s", whole);
  }
  return whole < 3600 ? fmt::format("{}m{:02}s", whole / 60, whole % 60)
                      : fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

ProgressLine::ProgressLine(ProgressMode mode) : mode_(mode), color_(wants_color()) {
  if (mode_ == ProgressMode::automatic) {
    mode_ = isatty(STDERR_FILENO) != 0 ? ProgressMode::bar : ProgressMode::log;
  }
}

ProgressLine::~ProgressLine() { clear(); }

void ProgressLine::postpone(TimePoint now) {
  next_ = now + (mode_ == ProgressMode::log ? std::chrono::nanoseconds(kLogInterval) : kBarInterval);
}

int ProgressLine::width() const {  // asked each time: windows are resized
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void ProgressLine::show(std::string_view line, TimePoint now) {
  postpone(now);
  if (mode_ == ProgressMode::log) {
    log::info("{}", line);
    return;
  }
  std::fprintf(stderr, "\r%.*s\033[K", static_cast<int>(line.size()), line.data());
  std::fflush(stderr);
  on_screen_ = true;
}

void ProgressLine::clear() {
  if (on_screen_) {
    std::fputs("\r\033[K", stderr);
    on_screen_ = false;
  }
}

void ProgressLine::finish() {
  if (on_screen_) {
    std::fputc('\n', stderr);
    on_screen_ = false;
  }
}

}  // namespace trireme::training
