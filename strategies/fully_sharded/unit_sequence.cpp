// The sequence of events of a pass: what each means for the parameters, its order, and passes without computing.
#include <algorithm>

#include "trireme/strategies/fully_sharded/unit_passes.h"

namespace trireme::strategies {

// What an event means for the parameters; the same in a ghost pass.
void UnitPasses::carry_out(Event event, std::size_t unit) {
  switch (event) {
    case Event::before_forward:
      make_whole(unit, units_[unit].next);
      return;
    case Event::after_forward:
      if (unit != last_forward_) {
        home_->reshard_after_forward(unit);
      }
      return;
    case Event::before_backward:
      gradients_->limit_in_flight();
      make_whole(unit, units_[unit].previous);
      return;
    case Event::after_backward:
      home_->reshard(unit);
      return;
  }
}

void UnitPasses::make_whole(std::size_t unit, std::size_t ahead) {
  home_->start_unshard(unit);
  if (ahead != kNone) {
    home_->start_unshard(ahead);
  }
  home_->unshard(unit);
}

std::int64_t UnitPasses::most_leaves(const StepPlan& plan) {
  for (const auto& [known, most] : most_leaves_) {
    if (known == &plan) {
      return most;
    }
  }
  std::size_t most = 0;
  for (int rank = 0; rank < world_size_; ++rank) {
    most = std::max(most, sharding::LanePlan::make(plan.split, rank, world_size_).leaves.size());
  }
  most_leaves_.emplace_back(&plan, static_cast<std::int64_t>(most));
  return static_cast<std::int64_t>(most);
}

void UnitPasses::run_ghosts(std::int64_t count) {
  for (std::int64_t pass = 0; pass < count; ++pass) {
    for (const auto& [event, unit] : last_events_) {
      if (event == Event::after_backward && pass == count - 1) {
        gradients_->allow(unit);
      }
      carry_out(event, unit);
    }
    if (pass == count - 1) {
      gradients_->allow_all();
    }
    end_pass();
  }
}

// The order in which units are made whole, by which the next one is started early. All ranks begin to use it at the
// same time, after their first step, those included that had no leaf in it.
void UnitPasses::learn_order() {
  order_known_ = true;
  std::size_t forward = kNone;
  std::size_t backward = kNone;
  for (const auto& [event, unit] : last_events_) {
    if (event == Event::before_forward && backward == kNone) {
      if (forward != kNone) {
        units_[forward].next = unit;
      }
      forward = unit;
    }
    if (event == Event::before_backward) {
      if (backward != kNone) {
        units_[backward].previous = unit;
      } else {
        last_forward_ = unit;
      }
      backward = unit;
    }
  }
}

}  // namespace trireme::strategies
