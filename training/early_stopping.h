// Early stopping: a run ends when what it watches has not become better for a while. A pure decision.
#pragma once

#include <cmath>
#include <cstdint>

#include "trireme/sharding/state.h"

namespace trireme::training {

struct EarlyStoppingOptions {
  std::int64_t patience = 3;      // looks without an improvement after which the run ends; 0: never
  double min_delta = 0;           // what counts as an improvement
  bool larger_is_better = false;  // true for accuracy, false for a loss
};

class EarlyStopping {
 public:
  // `seen`: where an earlier run of the same training stood.
  explicit EarlyStopping(const EarlyStoppingOptions& options = {}, const sharding::BestSeen& seen = {})
      : options_(options), seen_(seen) {}

  // One look at the watched value; true: stop. A NaN is never an improvement. Every rank must show the same values.
  bool should_stop(double value) {
    const double better = options_.larger_is_better ? value - best() : best() - value;
    const bool improved = std::isnan(best()) ? !std::isnan(value) : better > options_.min_delta;
    seen_ = improved ? sharding::BestSeen{value, 0} : sharding::BestSeen{best(), seen_.looks_since + 1};
    return exhausted();
  }
  // The last look was one too many.
  bool exhausted() const { return options_.patience > 0 && seen_.looks_since >= options_.patience; }
  double best() const { return seen_.value; }  // NaN before the first look
  const sharding::BestSeen& seen() const { return seen_; }

 private:
  EarlyStoppingOptions options_;
  sharding::BestSeen seen_;
};

}  // namespace trireme::training
