#include "trireme/launcher/byte_progress.h"

#include <fmt/format.h>

#include <algorithm>

#include "trireme/core/base/bytes_text.h"

namespace trireme::launcher {
namespace {

constexpr int kLongestBar = 40;
constexpr int kShortestBar = 6;

std::string size(std::uint64_t bytes) { return bytes_text(static_cast<std::int64_t>(bytes)); }

}  // namespace

std::string render_bytes(const std::string& what, const ByteState& state, int width, bool color) {
  std::string facts = fmt::format("{} of {}", size(state.done), size(state.total));
  if (state.seconds > 0 && state.done > 0) {
    const double rate = static_cast<double>(state.done) / state.seconds;
    const double left = static_cast<double>(state.total - std::min(state.done, state.total)) / rate;
    facts +=
        fmt::format("  {}/s  {} left", bytes_text(static_cast<std::int64_t>(rate)), training::short_duration(left));
  }
  const int room = width - static_cast<int>(what.size() + facts.size()) - 4;  // brackets and spaces
  if (room >= kShortestBar && state.total > 0) {
    const double share = static_cast<double>(state.done) / static_cast<double>(state.total);
    return fmt::format("{} {} {}", what, training::bar_text(share, std::min(room, kLongestBar), color), facts);
  }
  const std::string line = fmt::format("{}  {}", what, facts);
  return width > 0 ? line.substr(0, static_cast<std::size_t>(width)) : line;
}

ByteProgress::ByteProgress(training::ProgressMode mode, std::string what, std::uint64_t total)
    : what_(std::move(what)), state_{0, total, 0}, start_(std::chrono::steady_clock::now()), line_(mode) {
  line_.postpone(start_);
}

void ByteProgress::advance(std::uint64_t bytes) {
  state_.done += bytes;
  const auto now = std::chrono::steady_clock::now();
  if (line_.due(now)) {
    state_.seconds = std::chrono::duration<double>(now - start_).count();
    const bool bar = line_.mode() == training::ProgressMode::bar;
    line_.show(render_bytes(what_, state_, bar ? line_.width() : 0, bar && line_.color()), now);
  }
}

}  // namespace trireme::launcher
