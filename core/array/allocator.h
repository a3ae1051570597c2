// The caching arena: the only place of the library that asks the system for memory.
//
// Freed blocks are kept by size and handed out again, so that a training step which repeats its shapes costs no page
// fault, no malloc and no mmap after its first rounds. Small blocks come from lists private to each thread (a few
// nanoseconds, no lock); large ones from one list behind a lock. The arena is shared by the threads of the process: a
// block may be freed on another thread than its maker's.
#pragma once

#include <cstddef>
#include <cstdint>

namespace trireme {

// Memory for `bytes` bytes, aligned to 64, contents undefined. Raises Error (with what to do) when the system has none.
void* pool_allocate(std::size_t bytes);
// REQUIRES: `block` came from pool_allocate(bytes) with the same `bytes`. Any thread.
void pool_free(void* block, std::size_t bytes) noexcept;
// What pool_allocate(bytes) takes: `bytes`, rounded up to the arena's sizes. For plans of memory; a block that was
// cached may be up to an eighth larger.
std::size_t pool_block_bytes(std::size_t bytes) noexcept;

struct MemoryStats {
  std::int64_t bytes_in_use = 0;       // handed out now, size-class rounding included
  std::int64_t bytes_in_use_peak = 0;  // the most since start or reset_memory_peak()
  std::int64_t bytes_reserved = 0;     // held from the system, in use or cached
  std::int64_t system_calls = 0;       // how often the system was asked; constant in the steady state
};
// Counts blocks above 32 KiB exactly, and small ones by what was reserved for them.
MemoryStats memory_stats();
void reset_memory_peak();
// Gives cached large blocks back to the system.
void release_cached_memory() noexcept;

// A base for small objects that live in the arena (tape nodes, tensor records).
struct Pooled {
  static void* operator new(std::size_t bytes) { return pool_allocate(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept { pool_free(block, bytes); }
};

}  // namespace trireme
