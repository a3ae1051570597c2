#include "trireme/core/array/allocator.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <mutex>

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
constexpr std::size_t kSmallLimit = 32 << 10;
constexpr std::size_t kFineLimit = 1 << 10;  // up to here classes are multiples of 64
constexpr std::size_t kChunk = 1 << 20;      // small blocks are carved from chunks of this size
constexpr std::size_t kPage = 4096;
constexpr std::size_t kLargestBlock = std::size_t{1} << 47;  // all that a process can address
constexpr std::size_t kHugePage = 2 << 20;
constexpr int kClasses = 16 + 5 * 8;                  // 64..1024 by 64, then eight steps an octave up to 32 KiB
constexpr std::size_t kThreadCacheBytes = 256 << 10;  // per class

int class_of(std::size_t bytes) {
  if (bytes <= kFineLimit) {
    return static_cast<int>((bytes - (bytes != 0)) / 64);
  }
  const auto octave = static_cast<int>(std::bit_width(bytes - 1)) - 11;  // 1025..2048 -> 0
  const std::size_t step = std::size_t{128} << octave;
  const std::size_t base = std::size_t{1024} << octave;
  return 16 + octave * 8 + static_cast<int>((bytes - base + step - 1) / step) - 1;
}

constexpr std::size_t bytes_of(int size_class) {
  if (size_class < 16) {
    return static_cast<std::size_t>(size_class + 1) * 64;
  }
  const int octave = (size_class - 16) / 8;
  return (std::size_t{1024} << octave) +
         static_cast<std::size_t>((size_class - 16) % 8 + 1) * (std::size_t{128} << octave);
}

// How many blocks of a class a thread keeps; more go to the shared list.
constexpr auto kThreadCacheBlocks = [] {
  std::array<std::uint32_t, kClasses> most{};
  for (int i = 0; i < kClasses; ++i) {
    most[static_cast<std::size_t>(i)] = static_cast<std::uint32_t>(64 + kThreadCacheBytes / bytes_of(i));
  }
  return most;
}();

struct FreeBlock {
  FreeBlock* next;
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
    const std::size_t wanted = (bytes + kPage - 1) / kPage * kPage;
    const std::lock_guard lock(mutex_);
    auto it = free_.lower_bound(wanted);
    if (it == free_.end() || it->first > wanted + wanted / 8) {
      const std::size_t mapped = wanted + kPage;
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

  // A list of free blocks of one class: from another thread's leavings, else carved from a new chunk.
  FreeBlock* refill(int size_class) {
    const std::lock_guard lock(mutex_);
    FreeBlock*& shared = shared_[static_cast<std::size_t>(size_class)];
    if (shared != nullptr) {
      FreeBlock* all = shared;
      shared = nullptr;
      return all;
    }
    const std::size_t bytes = bytes_of(size_class);
    const std::size_t blocks = std::max<std::size_t>(1, std::min<std::size_t>(64, (64 << 10) / bytes));
    if (chunk_left_ < blocks * bytes) {
      chunk_ = static_cast<std::byte*>(map(kChunk));
      chunk_left_ = kChunk;
    }
    FreeBlock* list = nullptr;
    for (std::size_t i = 0; i < blocks; ++i) {
      auto* block = reinterpret_cast<FreeBlock*>(chunk_);
      block->next = list;
      list = block;
      chunk_ += bytes;
      chunk_left_ -= bytes;
    }
    count(static_cast<std::int64_t>(blocks * bytes));
    return list;
  }

  void give_back(int size_class, FreeBlock* list) noexcept {
    if (list == nullptr) {
      return;
    }
    const std::lock_guard lock(mutex_);
    FreeBlock* last = list;
    while (last->next != nullptr) {
      last = last->next;
    }
    last->next = shared_[static_cast<std::size_t>(size_class)];
    shared_[static_cast<std::size_t>(size_class)] = list;
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
  std::array<FreeBlock*, kClasses> lists{};
  std::array<std::uint32_t, kClasses> counts{};

  ~ThreadCache() {
    for (int i = 0; i < kClasses; ++i) {
      arena().give_back(i, lists[static_cast<std::size_t>(i)]);
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
    FreeBlock* list = arena().refill(size_class);
    arena().give_back(size_class, list->next);
    return list;
  }
  if (cache->lists[index] == nullptr) [[unlikely]] {
    cache->lists[index] = arena().refill(size_class);
    cache->counts[index] = 0;
    for (FreeBlock* block = cache->lists[index]; block != nullptr; block = block->next) {
      ++cache->counts[index];
    }
  }
  FreeBlock* block = cache->lists[index];
  cache->lists[index] = block->next;
  --cache->counts[index];
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
    freed->next = nullptr;
    arena().give_back(size_class, freed);
    return;
  }
  freed->next = cache->lists[index];
  cache->lists[index] = freed;
  if (++cache->counts[index] > kThreadCacheBlocks[index]) [[unlikely]] {
    arena().give_back(size_class, cache->lists[index]);
    cache->lists[index] = nullptr;
    cache->counts[index] = 0;
  }
}

MemoryStats memory_stats() { return arena().stats(); }
void reset_memory_peak() { arena().reset_peak(); }
void release_cached_memory() noexcept { arena().release_cached(); }

}  // namespace trireme
