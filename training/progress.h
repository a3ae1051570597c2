// What a person sees while a run goes on: one rewritten line on a terminal, log lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "trireme/training/progress_line.h"

namespace trireme::training {

struct ProgressState {
  std::int64_t steps_done = 0;   // since the first start
  std::int64_t steps_total = 0;  // 0: not known
  double loss = 0;
  double items_per_second = 0;
  double seconds_left = 0;  // NaN: not known
};

struct ProgressStyle {
  int width = 80;  // columns of the terminal
  bool color = false;
  std::string_view unit = "tokens";
};

// The bar's line without line ends, at most `width` columns:
//   "step  120/1000 [=====>          ] loss 3.2170  12.4k tokens/s  1m05s left"
// What does not fit is left out from the right, the bar first.
std::string render_bar(const ProgressState& state, const ProgressStyle& style);
// The same facts for a log: "step 120/1000  loss 3.2170  12.4k tokens/s  1m05s left".
std::string render_line(const ProgressState& state, std::string_view unit);
// 1234567 -> "1.23M", 12400 -> "12.4k", 37.2 -> "37.2".
std::string short_number(double value);

// Shows progress at most ten times a second (bar), or every few seconds and at the first and last step (log).
// Writes to stderr; only one rank of a run has one that is not off.
class Progress {
 public:
  Progress(ProgressMode mode, std::string_view unit) : line_(mode), unit_(unit) {}

  // Cheap unless it is time to show something. `items` were trained on in this step, `now` is its end.
  void step(const ProgressState& state, std::chrono::steady_clock::time_point now) {
    if (line_.due(now)) {
      show(state, now);
    }
  }
  // A line of text between: the bar is cleared first and drawn again with the next step.
  void note(std::string_view text);
  // Leaves the last state on the screen.
  void finish(const ProgressState& state);

 private:
  void show(const ProgressState& state, std::chrono::steady_clock::time_point now);

  ProgressLine line_;
  std::string_view unit_;
  std::int64_t last_shown_ = -1;
};

}  // namespace trireme::training
