// `trireme bench`: what the machine itself can do, the denominators of every speed figure.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace trireme::launcher {

// Prints a table; takes about five seconds. Returns 0. Raises Error.
int run_bench(const std::vector<std::string>& arguments);

// Each returns its best figure of several rounds; all block.

// Arithmetic: 10^9 float operations a second, fused multiply-adds on all of `threads` cores.
double fma_peak(int threads);

// Memory: bytes copied (or read) a second by `threads` threads together, each on its own buffer of `bytes`.
double copy_bandwidth(int threads, std::size_t bytes);
double read_bandwidth(int threads, std::size_t bytes);
// Seconds to touch a new page of 4 KiB, of private or of shared memory.
double page_fault_seconds(bool shared);

// Waiting: seconds for a barrier of two spinning threads, from a futex wake to the sleeper's return, and for one byte
// there and back through two pipes.
double barrier_seconds();
double futex_wake_seconds();
double pipe_round_trip_seconds();

// Disk: bytes written a second, fsync included, and seconds for a 4 KiB write with its fsync, in a file in `folder`
// that vanishes again. Raise Error if it cannot be written.
double write_bandwidth(const std::string& folder);
double fsync_seconds(const std::string& folder);

}  // namespace trireme::launcher
