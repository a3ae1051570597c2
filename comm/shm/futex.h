// Sleeping on a word of shared memory, across processes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace trireme::comm::shm {

// Sleeps while *word == expected, at most `timeout`; may wake for no reason.
void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected, std::chrono::nanoseconds timeout);
void futex_wake(std::atomic<std::uint32_t>& word);
// Tells the processor that this thread only waits.
void relax();

}  // namespace trireme::comm::shm
