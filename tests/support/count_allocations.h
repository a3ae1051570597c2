// Replaces operator new of the test program by one that counts. Include it in exactly one source of a program.
#pragma once

#include <atomic>
#include <cstdlib>
#include <new>

namespace trireme::test {

inline std::atomic<long> allocation_count{0};  // by any thread, since the start

// How many allocations `work` makes, on all threads.
template <class Work>
long allocations_of(const Work& work) {
  const long before = allocation_count;
  work();
  return allocation_count - before;
}

}  // namespace trireme::test

// Not inlined: the compiler would see free() on what operator new gave, and warn.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
  ++trireme::test::allocation_count;
  if (void* block = std::malloc(bytes)) {
    return block;
  }
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* block) noexcept { std::free(block); }
[[gnu::noinline]] void operator delete(void* block, std::size_t) noexcept { std::free(block); }
