// Which rank is frozen while the others run? Pure: the time is an argument.
#pragma once

#include <vector>

#include "trireme/launcher/event_loop.h"

namespace trireme::launcher {

// A rank that is stopped (SIGSTOP) for 1.5 s while another one of the job is not will not come back in time: it counts
// as dead. If all are stopped, the job is paused by somebody who knows what they do.
class FreezeWatch {
 public:
  static constexpr std::chrono::milliseconds kPatience{1500};
  static constexpr std::chrono::milliseconds kInterval{500};  // between two looks

  explicit FreezeWatch(int ranks) : since_(static_cast<std::size_t>(ranks), Clock::time_point::max()) {}

  // `frozen[r]`: rank r is stopped now. `running[r]`: it has not ended. Returns the ranks that count as dead.
  std::vector<int> look(Clock::time_point now, const std::vector<bool>& frozen, const std::vector<bool>& running);

 private:
  std::vector<Clock::time_point> since_;  // when a rank was first seen frozen without a break; max(): it is not
};

}  // namespace trireme::launcher
