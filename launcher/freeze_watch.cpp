#include "trireme/launcher/freeze_watch.h"

namespace trireme::launcher {

std::vector<int> FreezeWatch::look(Clock::time_point now, const std::vector<bool>& frozen,
                                   const std::vector<bool>& running) {
  bool any_moves = false;
  for (std::size_t rank = 0; rank < since_.size(); ++rank) {
    any_moves = any_moves || (running[rank] && !frozen[rank]);
  }
  std::vector<int> dead;
  for (std::size_t rank = 0; rank < since_.size(); ++rank) {
    const bool counts = any_moves && running[rank] && frozen[rank];
    if (!counts) {
      since_[rank] = Clock::time_point::max();
    } else if (since_[rank] == Clock::time_point::max()) {
      since_[rank] = now;
    } else if (now - since_[rank] >= kPatience) {
      dead.push_back(static_cast<int>(rank));
    }
  }
  return dead;
}

}  // namespace trireme::launcher
