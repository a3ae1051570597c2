// A clock that tests move by hand: sleeping passes its time at once.
#pragma once

#include <atomic>

#include "trireme/core/base/clock.h"

namespace trireme::test {

class ManualClock final : public Clock {
 public:
  TimePoint now() override { return TimePoint(Duration(elapsed_.load())); }
  void sleep(Duration duration) override { elapsed_ += duration.count(); }

 private:
  std::atomic<Duration::rep> elapsed_{0};
};

}  // namespace trireme::test
