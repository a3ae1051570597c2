// Waiting for MPI, which has no call that blocks and can be woken: polls at once at first, then yielding the core, then
// between naps that grow with the time waited, so that a wait is at most an eighth longer than it had to be. Naps begin
// early where somebody else wants the core, which shows in how long a yield takes: it may be a thread of this rank that
// computes, as mpirun binds all threads of a rank to one core. Part of the sources of comm/mpi.
#pragma once

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace trireme::comm {

class Patience {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int kPollsAtOnce = 50;  // a few microseconds: what a peer that is ready needs
  // From here on naps: a few times what a nap costs beyond its length; and on a core that nobody else wants.
  static constexpr auto kEager = std::chrono::microseconds(200);
  static constexpr auto kEagerAlone = std::chrono::milliseconds(5);
  static constexpr auto kYieldedTo = std::chrono::microseconds(30);  // a yield and a poll take less
  static constexpr auto kShortestNap = std::chrono::microseconds(20);
  static constexpr auto kLongestNap = std::chrono::milliseconds(1);

  // Between two polls. False, without a pause, once the deadline has passed; slept() tells what it did.
  bool pause(Clock::time_point deadline) {
    if (++polls_ <= kPollsAtOnce) {
      return true;
    }
    const auto now = Clock::now();
    if (polls_ == kPollsAtOnce + 1) {
      begin_ = now;
      alone_ = true;
    } else if (!slept_ && now - last_ > kYieldedTo) {
      alone_ = false;
    }
    last_ = now;
    if (now >= deadline) {
      return false;
    }
    const auto waited = now - begin_;
    slept_ = waited >= (alone_ ? kEagerAlone : kEager);
    if (slept_) {
      const auto nap = std::clamp<std::chrono::nanoseconds>(waited / 8, kShortestNap, kLongestNap);
      std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(nap, deadline - now));
    } else {
      sched_yield();
    }
    return true;
  }
  // Something happened: more may follow soon.
  void renew() { polls_ = 0; }
  bool slept() const { return slept_; }

 private:
  int polls_ = 0;
  bool slept_ = false;
  bool alone_ = true;
  Clock::time_point begin_;
  Clock::time_point last_;
};

// Polls until done() or the deadline; what done() said last.
template <class Done>
bool poll_until(Patience::Clock::time_point deadline, Done done) {
  Patience patience;
  while (!done()) {
    if (!patience.pause(deadline)) {
      return false;
    }
  }
  return true;
}

}  // namespace trireme::comm
