// UnitPasses over whole leaves: where a pass begins and ends, and ranks that have fewer of them than others.
#include <algorithm>

#include "trireme/strategies/fully_sharded/unit_passes.h"

namespace trireme::strategies {

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

void UnitPasses::open_leaf(const LeafPlace& place) {
  require(
      units_[0].seen,
      "backward: parameter {} has had no forward pass since prepare() or the last backward(): the loss was computed "
      "before, or by a module whose forward is not announced; call the module, or open nn::ForwardScope in a "
      "forward of its own",
      gradients_->trained().front().name);
  require_in_place();
  plan_ = place.plan;
  last_leaf_ = place.last;
  ghosts_ = moves() ? most_leaves(*plan_) - static_cast<std::int64_t>(plan_->lanes.leaves.size()) : 0;
  gradients_->open_leaf(place, ghosts_ == 0);
  for (std::size_t u = 0; u < units_.size(); ++u) {
    if (units_[u].seen && !units_[u].announced) {
      gradients_->open_unit(u);
    }
  }
}

void UnitPasses::close_leaf() { closed_ = true; }

void UnitPasses::end_pass() {
  closed_ = false;
  for (std::size_t u = 0; u < units_.size(); ++u) {
    units_[u].seen = false;
    units_[u].announced = false;
    home_->reshard(u);
  }
}

void UnitPasses::end_leaf(std::vector<bool>& used) {
  for (std::size_t t = 0; t < gradients_->trained().size(); ++t) {
    const TrainedParameter& parameter = gradients_->trained()[t];
    const std::size_t u = map_->plan.unit_of[parameter.index];
    require(units_[u].seen || !parameter.leaf->as_leaf()->gradient().defined(),
            "backward: a gradient of parameter {} has come without a forward pass of its unit; call the module, not "
            "its forward()",
            parameter.name);
  }
  gradients_->complete_all();
  used.resize(gradients_->trained().size());
  for (std::size_t t = 0; t < used.size(); ++t) {
    used[t] = gradients_->used(t);
  }
  end_pass();
  std::swap(events_, last_events_);
  events_.clear();
  if (last_leaf_) {
    run_ghosts(ghosts_);
  }
}

void UnitPasses::reduce_without_parts(const StepPlan& plan) {
  gradients_->open_without_parts(plan, !moves());
  run_ghosts(moves() ? most_leaves(plan) : 0);
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

void UnitPasses::finish() {
  gradients_->finish();
  home_->settle();
  if (!order_known_) {
    learn_order();
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
