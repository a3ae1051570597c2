#include "trireme/strategies/parameter_server/clocks/staleness_clock.h"

#include <algorithm>

#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server {

StalenessClock::StalenessClock(int workers, std::optional<std::int64_t> staleness)
    : workers_(static_cast<std::size_t>(workers)), staleness_(staleness) {
  require_usage(!staleness || *staleness >= 0, "staleness: {} steps given, 0 or more expected", staleness.value_or(0));
}

std::int64_t StalenessClock::join(int worker) {
  Worker& joining = workers_[static_cast<std::size_t>(worker)];
  joining.clock = std::max(joining.clock, slowest());
  joining.counts = true;
  return joining.clock;
}

void StalenessClock::leave(int worker) { workers_[static_cast<std::size_t>(worker)].counts = false; }

void StalenessClock::finish(int worker, std::int64_t step) {
  std::int64_t& clock = workers_[static_cast<std::size_t>(worker)].clock;
  require(step >= clock, "worker {} has pushed step {} when step {} was expected", worker, step, clock);
  clock = step + 1;
}

void StalenessClock::reach(int worker, std::int64_t step) {
  std::int64_t& clock = workers_[static_cast<std::size_t>(worker)].clock;
  clock = std::max(clock, step);
}

bool StalenessClock::may_start(std::int64_t step) const { return !staleness_ || slowest() >= step - *staleness_; }

std::int64_t StalenessClock::slowest() const {
  std::optional<std::int64_t> least;
  std::int64_t most = 0;
  for (const Worker& worker : workers_) {
    most = std::max(most, worker.clock);
    if (worker.counts) {
      least = std::min(least.value_or(worker.clock), worker.clock);
    }
  }
  return least.value_or(most);
}

}  // namespace trireme::strategies::parameter_server
