// What a rank does at this moment, kept where others can read it: the peers that wait for it in a collective, and the
// person who asks with SIGUSR2. Loader, backward, strategy, Trainer and checkpoints mark what begins; a mark costs one
// look at the clock and one store.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace trireme {

enum class Phase : std::uint8_t {
  program,  // nothing that Trireme knows of: the program's own code
  loading_data,
  forward,
  backward,
  reducing,
  updating,
  between_steps,
  evaluating,
  saving_checkpoint,
  loading_checkpoint,
  exporting,
  waiting,  // for other ranks, in a collective or a message
};
// "in data loading", "saving a checkpoint".
std::string_view name_of(Phase phase);

// A copy of a record, taken at one moment.
struct Activity {
  Phase phase = Phase::program;
  std::int64_t step = -1;           // -1: no step has begun
  std::chrono::nanoseconds age{0};  // since the phase began
};
// "in data loading since 4.1 s (step 12)".
std::string describe(const Activity& activity);

// One rank's marks. Written by one thread, read by any; address-free, so it may lie in memory shared by processes of a
// host, which have one steady clock.
class ActivityRecord {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  ActivityRecord() noexcept { enter(Phase::program); }
  void enter(Phase phase) noexcept;
  void enter_step(std::int64_t step) noexcept { step_.store(step, std::memory_order_relaxed); }
  Phase phase() const noexcept { return static_cast<Phase>(mark_.load(std::memory_order_relaxed) >> kTimeBits); }
  // Safe on memory that a peer has written, whatever it holds.
  Activity look(TimePoint now) const noexcept;
  void copy_from(const ActivityRecord& other) noexcept;

 private:
  static constexpr unsigned kTimeBits = 56;
  std::atomic<std::uint64_t> mark_{0};  // the phase, and below it when it began, in microseconds: both in one store
  std::atomic<std::int64_t> step_{-1};
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
};

// The calling thread marks what it does: each rank is a thread or a process.
void enter_phase(Phase phase) noexcept;
void enter_step(std::int64_t step) noexcept;
// Where it marks; the same for as long as the thread lives. For readers, on any thread.
const std::shared_ptr<const ActivityRecord>& activity_record();
// From now on the calling thread marks there as well, beginning with what it has marked so far: memory that other
// processes see. One at a time; null ends it.
void mirror_activity_in(std::shared_ptr<ActivityRecord> mirror);
const ActivityRecord* activity_mirror();

// A phase of the calling thread for as long as this lives; then the one before goes on.
class PhaseScope {
 public:
  explicit PhaseScope(Phase phase) noexcept : before_(activity_record()->phase()) { enter_phase(phase); }
  ~PhaseScope() { enter_phase(before_); }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  Phase before_;
};

}  // namespace trireme
