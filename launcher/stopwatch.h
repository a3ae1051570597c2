// Timing for `trireme bench`.
#pragma once

#include <chrono>
#include <functional>

namespace trireme::launcher {

// Seconds that one call takes: the least of `rounds` calls.
double best_seconds(int rounds, const std::function<void()>& call);
// Runs `body(thread)` on that many threads that start together; returns the seconds from the common start until the
// last has ended. An exception of a thread ends the program: bodies must not throw.
double seconds_together(int threads, const std::function<void(int)>& body);

}  // namespace trireme::launcher
