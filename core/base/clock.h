// Clock: time as an argument, so that deadlines and retries are tested without waiting.
#pragma once

#include <chrono>
#include <thread>

namespace trireme {

class Clock {
 public:
  using Duration = std::chrono::nanoseconds;
  using TimePoint = std::chrono::steady_clock::time_point;

  virtual ~Clock() = default;
  // Monotonic; unrelated to the time of day.
  virtual TimePoint now() = 0;
  // Blocks the calling thread for at least `duration`.
  virtual void sleep(Duration duration) = 0;
};

// The machine's steady clock.
class SteadyClock final : public Clock {
 public:
  TimePoint now() override { return std::chrono::steady_clock::now(); }
  void sleep(Duration duration) override { std::this_thread::sleep_for(duration); }
};

}  // namespace trireme
