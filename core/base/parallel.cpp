#include "trireme/core/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "trireme/core/base/error.h"

namespace trireme {
namespace {

constexpr int kSpins = 2000;  // about 20 us: tiles follow each other closely inside a step

// The helpers of one owner thread. A job is published by raising `epoch_`; helpers take tiles from `next_`.
class Team {
 public:
  explicit Team(int helpers) {
    for (int i = 0; i < helpers; ++i) {
      threads_.emplace_back([this] { serve(); });
    }
  }
  ~Team() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
      epoch_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) {
      thread.join();
    }
  }
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }

  void run(std::int64_t count, std::int64_t tile, const TileFunction& f) {
    job_ = &f;
    count_ = count;
    tile_ = tile;
    failure_ = nullptr;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<int>(threads_.size()), std::memory_order_relaxed);
    {
      const std::lock_guard lock(mutex_);
      epoch_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    work();
    while (busy_.load(std::memory_order_acquire) != 0) {
      std::this_thread::yield();
    }
    if (failure_) {
      std::rethrow_exception(failure_);
    }
  }

 private:
  void work() noexcept {
    for (;;) {
      const std::int64_t begin = next_.fetch_add(tile_, std::memory_order_relaxed);
      if (begin >= count_) {
        return;
      }
      try {
        (*job_)(begin, std::min(begin + tile_, count_));
      } catch (...) {
        const std::lock_guard lock(mutex_);
        failure_ = std::current_exception();
      }
    }
  }

  void serve();

  const TileFunction* job_ = nullptr;
  std::int64_t count_ = 0;
  std::int64_t tile_ = 1;
  std::atomic<std::int64_t> next_{0};
  std::atomic<int> busy_{0};
  std::atomic<std::uint64_t> epoch_{0};
  std::exception_ptr failure_;
  bool stop_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> threads_;
};

thread_local std::unique_ptr<Team> team;
thread_local bool inside_tile = false;

void Team::serve() {
  inside_tile = true;  // a helper never starts helpers
  std::uint64_t seen = 0;
  for (;;) {
    for (int spin = 0; spin < kSpins && epoch_.load(std::memory_order_acquire) == seen; ++spin) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return epoch_.load(std::memory_order_relaxed) != seen; });
      seen = epoch_.load(std::memory_order_relaxed);
      if (stop_) {
        return;
      }
    }
    work();
    busy_.fetch_sub(1, std::memory_order_release);
  }
}

}  // namespace

void set_num_threads(int threads) {
  require_usage(threads >= 1, "set_num_threads: {} given, at least 1 expected", threads);
  team.reset();
  if (threads > 1) {
    team = std::make_unique<Team>(threads - 1);
  }
}

int num_threads() { return team ? team->size() : 1; }

void parallel_for(std::int64_t count, std::int64_t tile, TileFunction f) {
  require(tile > 0, "parallel_for: tile {} given, at least 1 expected", tile);
  if (!team || inside_tile || count <= tile) {
    for (std::int64_t begin = 0; begin < count; begin += tile) {
      f(begin, std::min(begin + tile, count));
    }
    return;
  }
  inside_tile = true;
  struct Leave {
    ~Leave() { inside_tile = false; }
  } leave;
  team->run(count, tile, f);
}

}  // namespace trireme
