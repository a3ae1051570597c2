// Early stopping: a run ends when what it watches has not become better for a while. A pure decision.
#pragma once

#include <cstdint>
#include <limits>

namespace trireme::training {

struct EarlyStoppingOptions {
  std::int64_t patience = 3;      // looks without an improvement after which the run ends; 0: never
  double min_delta = 0;           // what counts as an improvement
  bool larger_is_better = false;  // true for accuracy, false for a loss
};

class EarlyStopping {
 public:
  explicit EarlyStopping(const EarlyStoppingOptions& options = {}) : options_(options) {}

  // One look at the watched value; true: stop. A NaN is never an improvement. Every rank must show the same values.
  bool should_stop(double value) {
    const double better = options_.larger_is_better ? value - best_ : -(value - best_);
    const bool improved = first_ ? value == value : better > options_.min_delta;
    if (improved) {
      best_ = value;
      first_ = false;
      waited_ = 0;
      return false;
    }
    return options_.patience > 0 && ++waited_ >= options_.patience;
  }
  double best() const { return first_ ? std::numeric_limits<double>::quiet_NaN() : best_; }

 private:
  EarlyStoppingOptions options_;
  double best_ = 0;
  bool first_ = true;
  std::int64_t waited_ = 0;
};

}  // namespace trireme::training
