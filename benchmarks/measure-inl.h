// What every benchmark program measures with.
#pragma once

#include <algorithm>
#include <chrono>
#include <vector>

namespace trireme::bench {

// Seconds of a clock that only runs forward.
inline double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class Work>
double seconds_of(const Work& work) {
  const double begin = now();
  work();
  return now() - begin;
}

// The upper one of two in the middle. Not of nothing.
inline double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

}  // namespace trireme::bench
