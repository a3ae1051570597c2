// When to warn about a wait in a collective: after a quarter of its deadline or 5 s, whichever is first, then at three
// times the age of the warning before.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace trireme::comm {

// One operation at a time: the one that is waited for. Time is an argument.
class StallClock {
 public:
  using Duration = std::chrono::nanoseconds;
  static constexpr std::chrono::seconds kPatience{5};

  // The age at which the next warning about this operation is due. `record`: see Operation::record.
  Duration next(std::uint64_t record, Duration timeout) const {
    return record == record_ ? next_ : std::min<Duration>(timeout / 4, kPatience);
  }
  // True if a warning is due; then the next one is planned.
  bool due(std::uint64_t record, Duration age, Duration timeout) {
    if (age < next(record, timeout)) {
      return false;
    }
    record_ = record;
    next_ = 3 * age;
    return true;
  }

 private:
  std::uint64_t record_ = ~std::uint64_t{0};
  Duration next_{0};
};

}  // namespace trireme::comm
