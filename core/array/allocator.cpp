#include "trireme/core/array/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>

#include "trireme/core/array/size_classes.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/physical_memory.h"

namespace trireme {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kCaching = false;  // every block comes fresh, so that AddressSanitizer sees its whole life
#else
constexpr bool kCaching = true;
#endif

constexpr std::size_t kAlign = 64;
constexpr std::size_t kChunk = 1 << 20;  // small blocks are carved from chunks of this size
constexpr std::size_t kPage = 4096;
constexpr std::size_t kLargestBlock = std::size_t{1} << 47;  // all that a process can address
constexpr std::size_t kHugePage = 2 << 20;
constexpr std::size_t kThreadCacheBytes = 256 << 10;  // per class

// The most blocks of a class in a batch. A thread keeps two batches; more go to the shared list.
constexpr auto kBatchBlocks = [] {
  std::array<std::uint32_t, kClasses> most{};
  for (int i = 0; i < kClasses; ++i) {
    most[static_cast<std::size_t>(i)] = static_cast<std::uint32_t>(64 + kThreadCacheBytes / bytes_of(i)) / 2;
  }
  return most;
}();

struct FreeBlock {
  FreeBlock* next;
  // Of the first block of a batch (below) among the shared ones:
  FreeBlock* next_batch;
  std::uint32_t count;
};

// Free blocks of one class that move between a thread and the shared list as one, so that neither walks a list: a list
// that all threads' leavings have made long would be walked again and again (the magazines of Bonwick and Adams, 2001).
struct Batch {
  FreeBlock* first = nullptr;
  std::uint32_t count = 0;
};

// Usable bytes -> data of the large blocks that nobody uses.
using FreeBlocks = std::multimap<std::size_t, void*>;

// A large block's address must not repeat modulo a page, nor two blocks lie a multiple of 256 MB apart: both collide in
// the caches. So each mapping starts its data at a different cache line of its first page.
struct LargeBlock {
  void* mapping;
  std::size_t mapped;
  FreeBlocks::node_type free_node;  // its entry of the free blocks while it is in use
};

constexpr std::size_t whole_pages(std::size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }
constexpr std::size_t mapped_bytes(std::size_t wanted) { return wanted + kPage; }

[[noreturn]] void out_of_memory(std::size_t bytes) {
  fail("allocate: {} bytes asked for and the system has none{}; use a smaller batch or model, or more ranks", bytes,
       errno_text(ENOMEM));
}

class Arena {
 public:
  void* map(std::size_t bytes) {
    if (!fits_in_memory(bytes)) {
      out_of_memory(bytes);
    }
    const std::size_t huge = bytes >= 2 * kHugePage ? kHugePage : 0;
    void* base = mmap(nullptr, bytes + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) {
      out_of_memory(bytes);
    }
    system_calls_.fetch_add(1, std::memory_order_relaxed);
    if (huge != 0) {  // align, and give the unused ends back
      auto address = reinterpret_cast<std::uintptr_t>(base);
      const std::uintptr_t aligned = (address + huge - 1) & ~(huge - 1);
      if (aligned != address) {
        munmap(base, aligned - address);
      }
      if (aligned - address != huge) {
        munmap(reinterpret_cast<void*>(aligned + bytes), huge - (aligned - address));
      }
      base = reinterpret_cast<void*>(aligned);
      madvise(base, bytes, MADV_HUGEPAGE);  // only a wish: small pages are correct too
    }
    reserved_.fetch_add(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
    return base;
  }

  void* allocate_large(std::size_t bytes) {
    const std::size_t wanted = whole_pages(bytes);
    const std::lock_guard lock(mutex_);
    auto it = free_.lower_bound(wanted);
    if (it == free_.end() || it->first > wanted + wanted / 8) {
      const std::size_t mapped = mapped_bytes(wanted);
      auto* base = static_cast<std::byte*>(map(mapped));
      void* data = base + (colour_++ * 5 % 63) * kAlign;
      it = free_.emplace(wanted, data);
      blocks_.emplace(data, LargeBlock{base, mapped, {}});
    }
    void* data = it->second;
    LargeBlock& block = blocks_.at(data);
    block.free_node = free_.extract(it);  // kept for the block's return, so that neither direction allocates
    count(static_cast<std::int64_t>(block.mapped));
    return data;
  }

  void free_large(void* data) noexcept {
    const std::lock_guard lock(mutex_);
    LargeBlock& block = blocks_.at(data);
    count(-static_cast<std::int64_t>(block.mapped));
    free_.insert(std::move(block.free_node));
  }

  // Free blocks of one class: another thread's leavings, else carved from a new chunk. Never empty.
  Batch refill(int size_class) {
    const std::lock_guard lock(mutex_);
    FreeBlock*& shared = shared_[static_cast<std::size_t>(size_class)];
    if (shared != nullptr) {
      FreeBlock* first = shared;
      shared = first->next_batch;
      return {first, first->count};
    }
    const std::size_t bytes = bytes_of(size_class);
    const std::size_t blocks = std::max<std::size_t>(1, std::min<std::size_t>(64, (64 << 10) / bytes));
    if (chunk_left_ < blocks * bytes) {
      chunk_ = static_cast<std::byte*>(map(kChunk));
      chunk_left_ = kChunk;
    }
    Batch batch;
    for (; batch.count < blocks; ++batch.count) {
      auto* block = reinterpret_cast<FreeBlock*>(chunk_);
      block->next = batch.first;
      batch.first = block;
      chunk_ += bytes;
      chunk_left_ -= bytes;
    }
    count(static_cast<std::int64_t>(blocks * bytes));
    return batch;
  }

  void give_back(int size_class, Batch batch) noexcept {
    if (batch.count == 0) {
      return;
    }
    const std::lock_guard lock(mutex_);
    FreeBlock*& shared = shared_[static_cast<std::size_t>(size_class)];
    batch.first->next_batch = shared;
    batch.first->count = batch.count;
    shared = batch.first;
  }

  void release_cached() noexcept {
    const std::lock_guard lock(mutex_);
    for (const auto& [size, data] : free_) {
      const auto block = blocks_.find(data);
      munmap(block->second.mapping, block->second.mapped);
      reserved_.fetch_sub(static_cast<std::int64_t>(block->second.mapped), std::memory_order_relaxed);
      blocks_.erase(block);
    }
    free_.clear();
  }

  MemoryStats stats() const { return {in_use_.load(), peak_.load(), reserved_.load(), system_calls_.load()}; }
  void reset_peak() { peak_.store(in_use_.load()); }

 private:
  void count(std::int64_t delta) {
    const std::int64_t now = in_use_.fetch_add(delta, std::memory_order_relaxed) + delta;
    if (now > peak_.load(std::memory_order_relaxed)) {
      peak_.store(now, std::memory_order_relaxed);  // under mutex_
    }
  }

  std::mutex mutex_;
  FreeBlocks free_;
  std::map<void*, LargeBlock> blocks_;
  std::array<FreeBlock*, kClasses> shared_{};
  std::byte* chunk_ = nullptr;
  std::size_t chunk_left_ = 0;
  std::size_t colour_ = 0;
  std::atomic<std::int64_t> in_use_{0};
  std::atomic<std::int64_t> peak_{0};
  std::atomic<std::int64_t> reserved_{0};
  std::atomic<std::int64_t> system_calls_{0};
};

// Never destroyed: arrays with static storage may outlive any destructor order.
Arena& arena() {
  static Arena& instance = *new Arena;
  return instance;
}

struct ThreadCache {
  std::array<Batch, kClasses> current{};  // blocks come from here and go here
  std::array<Batch, kClasses> spare{};    // full or empty

  ~ThreadCache() {
    for (int i = 0; i < kClasses; ++i) {
      arena().give_back(i, current[static_cast<std::size_t>(i)]);
      arena().give_back(i, spare[static_cast<std::size_t>(i)]);
    }
  }
};

// Null once the thread's cache is gone (objects freed by later thread_local destructors go to the shared list).
thread_local constinit ThreadCache* cache_pointer = nullptr;
thread_local constinit bool cache_gone = false;

struct CacheOwner {
  ThreadCache cache;
  CacheOwner() { cache_pointer = &cache; }
  ~CacheOwner() {
    cache_pointer = nullptr;
    cache_gone = true;
  }
};

ThreadCache* thread_cache() {
  if (cache_pointer == nullptr && !cache_gone) [[unlikely]] {
    thread_local CacheOwner owner;
    return &owner.cache;
  }
  return cache_pointer;
}

}  // namespace

void* pool_allocate(std::size_t bytes) {
  if (bytes > kLargestBlock) [[unlikely]] {
    errno = ENOMEM;
    out_of_memory(bytes);
  }
  if constexpr (!kCaching) {
    if (!fits_in_memory(bytes)) {
      out_of_memory(bytes);
    }
    void* block = std::aligned_alloc(kAlign, (bytes + kAlign - 1) / kAlign * kAlign + (bytes == 0 ? kAlign : 0));
    return block != nullptr ? block : (out_of_memory(bytes), nullptr);
  }
  if (bytes > kSmallLimit) {
    return arena().allocate_large(bytes);
  }
  const int size_class = class_of(bytes);
  const auto index = static_cast<std::size_t>(size_class);
  ThreadCache* cache = thread_cache();
  if (cache == nullptr) [[unlikely]] {
    const Batch batch = arena().refill(size_class);
    arena().give_back(size_class, {batch.first->next, batch.count - 1});
    return batch.first;
  }
  Batch& current = cache->current[index];
  if (current.count == 0) [[unlikely]] {
    Batch& spare = cache->spare[index];
    current = spare.count > 0 ? std::exchange(spare, {}) : arena().refill(size_class);
  }
  FreeBlock* block = current.first;
  current.first = block->next;
  --current.count;
  return block;
}

void pool_free(void* block, std::size_t bytes) noexcept {
  if constexpr (!kCaching) {
    std::free(block);
    return;
  }
  if (bytes > kSmallLimit) {
    arena().free_large(block);
    return;
  }
  const int size_class = class_of(bytes);
  const auto index = static_cast<std::size_t>(size_class);
  auto* freed = static_cast<FreeBlock*>(block);
  ThreadCache* cache = thread_cache();
  if (cache == nullptr) [[unlikely]] {
    arena().give_back(size_class, {freed, 1});
    return;
  }
  Batch& current = cache->current[index];
  if (current.count >= kBatchBlocks[index]) [[unlikely]] {
    arena().give_back(size_class, std::exchange(cache->spare[index], std::exchange(current, {})));
  }
  freed->next = current.first;
  current.first = freed;
  ++current.count;
}

std::size_t pool_block_bytes(std::size_t bytes) noexcept {
  return bytes > kSmallLimit ? mapped_bytes(whole_pages(bytes)) : bytes_of(class_of(bytes));
}

MemoryStats memory_stats() { return arena().stats(); }
void reset_memory_peak() { arena().reset_peak(); }
void release_cached_memory() noexcept { arena().release_cached(); }

}  // namespace trireme
