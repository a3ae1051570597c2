#include "trireme/training/progress.h"

#include <algorithm>
#include <cmath>

#include "trireme/core/base/log.h"

namespace trireme::training {
namespace {

constexpr int kLongestBar = 40;
constexpr int kShortestBar = 6;

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

double share_of(const ProgressState& state) {
  return static_cast<double>(state.steps_done) / static_cast<double>(state.steps_total);
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

std::string render_bar(const ProgressState& state, const ProgressStyle& style) {
  const std::string steps = steps_text(state);
  const std::string facts = facts_text(state, style.unit);
  const int room = style.width - static_cast<int>(steps.size() + facts.size()) - 5;  // brackets and spaces
  if (state.steps_total > 0 && room >= kShortestBar) {
    return fmt::format("{} {} {}", steps, bar_text(share_of(state), std::min(room, kLongestBar), style.color), facts);
  }
  return fmt::format("{}  {}", steps, facts).substr(0, static_cast<std::size_t>(std::max(style.width, 0)));
}

std::string render_line(const ProgressState& state, std::string_view unit) {
  return fmt::format("{}  {}", steps_text(state), facts_text(state, unit));
}

void Progress::show(const ProgressState& state, std::chrono::steady_clock::time_point now) {
  last_shown_ = state.steps_done;
  const bool log = line_.mode() == ProgressMode::log;
  line_.show(log ? render_line(state, unit_)
                 : render_bar(state, {.width = line_.width(), .color = line_.color(), .unit = unit_}),
             now);
}

void Progress::note(std::string_view text) {
  line_.clear();
  if (line_.mode() != ProgressMode::off) {
    log::info("{}", text);
  }
}

void Progress::finish(const ProgressState& state) {
  if (line_.mode() != ProgressMode::off && state.steps_done != last_shown_) {
    show(state, std::chrono::steady_clock::now());
  }
  line_.finish();
}

}  // namespace trireme::training
