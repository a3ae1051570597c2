#include "trireme/training/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"

namespace trireme::training {
namespace {

constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr auto kLogInterval = std::chrono::seconds(5);
constexpr int kLongestBar = 40;
constexpr int kShortestBar = 6;

int terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool wants_color() {
  const char* term = std::getenv("TERM");
  return std::getenv("NO_COLOR") == nullptr && term != nullptr && std::string_view(term) != "dumb";
}

std::string steps_text(const ProgressState& state) {
  if (state.steps_total <= 0) {
    return fmt::format("step {}", state.steps_done);
  }
  const std::string total = std::to_string(state.steps_total);
  return fmt::format("step {:>{}}/{}", state.steps_done, total.size(), total);
}

std::string facts_text(const ProgressState& state, std::string_view unit) {
  std::string text = fmt::format("loss {:.4f}  {} {}/s", state.loss, short_number(state.items_per_second), unit);
  if (std::isfinite(state.seconds_left)) {
    text += fmt::format("  {} left", short_duration(state.seconds_left));
  }
  return text;
}

std::string bar_text(const ProgressState& state, int length, bool color) {
  const double share =
      std::clamp(static_cast<double>(state.steps_done) / static_cast<double>(state.steps_total), 0.0, 1.0);
  const auto full = static_cast<std::size_t>(share * length);
  std::string filled(full, '=');
  std::string rest(static_cast<std::size_t>(length) - full, ' ');
  if (!rest.empty()) {
    rest[0] = '>';
  }
  return color ? fmt::format("[\033[36m{}\033[0m{}]", filled, rest) : fmt::format("[{}{}]", filled, rest);
}

}  // namespace

std::string short_number(double value) {
  if (!std::isfinite(value)) {
    return "-";
  }
  const char* suffix = "";
  for (const char* next : {"k", "M", "G"}) {
    if (std::abs(value) < 999.5) {
      break;
    }
    value /= 1000;
    suffix = next;
  }
  return fmt::format("{:.{}f}{}", value, std::abs(value) < 9.995 ? 2 : std::abs(value) < 99.95 ? 1 : 0, suffix);
}

std::string short_duration(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::clamp(seconds, 0.0, 3.6e9));
  if (whole < 60) {
    return fmt::format("{}s", whole);
  }
  return whole < 3600 ? fmt::format("{}m{:02}s", whole / 60, whole % 60)
                      : fmt::format("{}h{:02}m", whole / 3600, whole / 60 % 60);
}

std::string render_bar(const ProgressState& state, const ProgressStyle& style) {
  const std::string steps = steps_text(state);
  const std::string facts = facts_text(state, style.unit);
  const int room = style.width - static_cast<int>(steps.size() + facts.size()) - 5;  // brackets and spaces
  if (state.steps_total > 0 && room >= kShortestBar) {
    return fmt::format("{} {} {}", steps, bar_text(state, std::min(room, kLongestBar), style.color), facts);
  }
  return fmt::format("{}  {}", steps, facts).substr(0, static_cast<std::size_t>(std::max(style.width, 0)));
}

std::string render_line(const ProgressState& state, std::string_view unit) {
  return fmt::format("{}  {}", steps_text(state), facts_text(state, unit));
}

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

Progress::Progress(ProgressMode mode, std::string_view unit)
    : mode_(mode), style_{.width = terminal_width(), .color = wants_color(), .unit = unit} {
  if (mode_ == ProgressMode::automatic) {
    mode_ = isatty(STDERR_FILENO) != 0 ? ProgressMode::bar : ProgressMode::log;
  }
}

Progress::~Progress() { clear_bar(); }

void Progress::show(const ProgressState& state, std::chrono::steady_clock::time_point now) {
  last_shown_ = state.steps_done;
  if (mode_ == ProgressMode::log) {
    next_ = now + kLogInterval;
    log::info("{}", render_line(state, style_.unit));
    return;
  }
  next_ = now + kBarInterval;
  style_.width = terminal_width();  // windows are resized
  std::fprintf(stderr, "\r%s\033[K", render_bar(state, style_).c_str());
  std::fflush(stderr);
  bar_on_screen_ = true;
}

void Progress::clear_bar() {
  if (bar_on_screen_) {
    std::fputs("\r\033[K", stderr);
    bar_on_screen_ = false;
  }
}

void Progress::note(std::string_view text) {
  clear_bar();
  if (mode_ != ProgressMode::off) {
    log::info("{}", text);
  }
}

void Progress::finish(const ProgressState& state) {
  if (mode_ != ProgressMode::off && state.steps_done != last_shown_) {
    show(state, std::chrono::steady_clock::now());
  }
  if (bar_on_screen_) {
    std::fputc('\n', stderr);
    bar_on_screen_ = false;
  }
}

}  // namespace trireme::training
