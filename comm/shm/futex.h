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
// Asks for the cache line to be written soon, so that the write does not wait for its other readers. Only a wish.
inline void own_soon(const void* address) {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
#else
  __builtin_prefetch(address, 1);
#endif
}

}  // namespace trireme::comm::shm
