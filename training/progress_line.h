// One line of text about work under way: rewritten in place on a terminal, a log line now and then elsewhere. What it
// says is its owner's (progress.h for training, the launcher's tools for bytes).
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace trireme::training {

enum class ProgressMode { automatic, bar, log, off };
// "auto", "bar", "log", "off"; raises a usage Error for others.
ProgressMode progress_mode_from_name(std::string_view name);

// "[=====>     ]" of `length` cells, `share` of them filled; more than all is all.
std::string bar_text(double share, int length, bool color);
// 65 -> "1m05s", 7000 -> "1h57m", 4.2 -> "4s".
std::string short_duration(double seconds);

// Writes to stderr. One thread.
class ProgressLine {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit ProgressLine(ProgressMode mode);
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // automatic has become one of the others.
  ProgressMode mode() const { return mode_; }
  // Whether it is time to show something: ten times a second (bar) or every few seconds (log).
  bool due(TimePoint now) const { return mode_ != ProgressMode::off && now >= next_; }
  // Waits with the first line until something has lasted.
  void postpone(TimePoint now);
  int width() const;  // of the terminal
  bool color() const { return color_; }

  // Shows `line`, which has no line ends and, as a bar, at most width() columns.
  void show(std::string_view line, TimePoint now);
  // Takes a bar off the screen, for text between.
  void clear();
  // Leaves a bar on the screen and ends its line.
  void finish();

 private:
  ProgressMode mode_;
  bool color_;
  TimePoint next_{};
  bool on_screen_ = false;
};

}  // namespace trireme::training
