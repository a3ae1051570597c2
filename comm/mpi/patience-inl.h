// Waiting for MPI, which has no call that blocks and can be woken: polls at once at first, then yielding the core, then
// between naps that grow with the time waited, so that a wait is at most an eighth longer than it had to be. Part of
// the sources of comm/mpi.
#pragma once

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace trireme::comm {

class Patience {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int kPollsAtOnce = 50;                         // a few microseconds: what a peer that is ready needs
  static constexpr auto kEager = std::chrono::microseconds(200);  // a few times what a nap costs beyond its length
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
    }
    if (now >= deadline) {
      return false;
    }
    const auto waited = now - begin_;
    slept_ = waited >= kEager;
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
  Clock::time_point begin_;
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
