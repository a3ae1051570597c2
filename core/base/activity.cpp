#include "trireme/core/base/activity.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace trireme {
namespace {

std::uint64_t microseconds(ActivityRecord::TimePoint time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count());
}

struct ThreadActivity {
  std::shared_ptr<ActivityRecord> own = std::make_shared<ActivityRecord>();
  std::shared_ptr<const ActivityRecord> shown = own;
  std::shared_ptr<ActivityRecord> mirror;

  void show() const noexcept {
    if (mirror) {
      mirror->copy_from(*own);
    }
  }
};

ThreadActivity& of_this_thread() {
  thread_local ThreadActivity activity;
  return activity;
}

}  // namespace

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::program:
      return "in the program's own code";
    case Phase::loading_data:
      return "in data loading";
    case Phase::forward:
      return "in forward";
    case Phase::backward:
      return "in backward";
    case Phase::reducing:
      return "in strategy.step(), reducing gradients";
    case Phase::updating:
      return "in the optimizer's update";
    case Phase::between_steps:
      return "between two steps";
    case Phase::evaluating:
      return "in evaluation";
    case Phase::saving_checkpoint:
      return "saving a checkpoint";
    case Phase::loading_checkpoint:
      return "loading a checkpoint";
    case Phase::exporting:
      return "exporting the model";
    case Phase::waiting:
      return "waiting for other ranks";
  }
  return "in an unknown phase";
}

std::string describe(const Activity& activity) {
  const double seconds = std::chrono::duration<double>(activity.age).count();
  const std::string step = activity.step < 0 ? "" : fmt::format(" (step {})", activity.step);
  return fmt::format("{} since {:.1f} s{}", name_of(activity.phase), seconds, step);
}

void ActivityRecord::enter(Phase phase) noexcept {
  const std::uint64_t time = microseconds(std::chrono::steady_clock::now()) & ((std::uint64_t{1} << kTimeBits) - 1);
  mark_.store(static_cast<std::uint64_t>(phase) << kTimeBits | time, std::memory_order_relaxed);
}

Activity ActivityRecord::look(TimePoint now) const noexcept {
  const std::uint64_t mark = mark_.load(std::memory_order_relaxed);
  const std::uint64_t begin = mark & ((std::uint64_t{1} << kTimeBits) - 1);
  const std::uint64_t end = std::max(begin, microseconds(now));
  return {static_cast<Phase>(mark >> kTimeBits), step_.load(std::memory_order_relaxed),
          std::chrono::microseconds(end - begin)};
}

void ActivityRecord::copy_from(const ActivityRecord& other) noexcept {
  mark_.store(other.mark_.load(std::memory_order_relaxed), std::memory_order_relaxed);
  step_.store(other.step_.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

void enter_phase(Phase phase) noexcept {
  const ThreadActivity& activity = of_this_thread();
  activity.own->enter(phase);
  activity.show();
}

void enter_step(std::int64_t step) noexcept {
  const ThreadActivity& activity = of_this_thread();
  activity.own->enter_step(step);
  activity.show();
}

const std::shared_ptr<const ActivityRecord>& activity_record() { return of_this_thread().shown; }

void mirror_activity_in(std::shared_ptr<ActivityRecord> mirror) {
  of_this_thread().mirror = std::move(mirror);
  of_this_thread().show();
}

const ActivityRecord* activity_mirror() { return of_this_thread().mirror.get(); }

}  // namespace trireme
