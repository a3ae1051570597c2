#include "trireme/core/base/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "trireme/core/base/error.h"

namespace trireme {
namespace {

constexpr int kSpins = 2000;  // about 50 us: tiles follow each other closely inside a step
constexpr int kSpinsAtEnd = 200;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

// The helpers of one owner thread.
//
// `state_` holds the number of the job, whether it is open, and how many helpers are inside. A helper enters an open
// job by raising the count, so the owner waits only for helpers that came: one that sleeps, or that the system does not
// run now, costs nothing. Fields of the job change only while it is closed and nobody is inside.
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
      stop_.store(true);
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
    next_.store(0, std::memory_order_relaxed);
    number_ += kNextJob;
    state_.store(number_ | kOpen);  // seq_cst, as is the load below: either we see a sleeper or it sees the job
    if (sleepers_.load() != 0) {
      { const std::lock_guard lock(mutex_); }
      wake_.notify_all();
    }
    work();
    state_.fetch_and(~kOpen, std::memory_order_acq_rel);
    for (int spin = 0; (state_.load(std::memory_order_acquire) & kInside) != 0; ++spin) {
      spin < kSpinsAtEnd ? relax() : std::this_thread::yield();
    }
    if (failure_) {
      std::rethrow_exception(std::exchange(failure_, nullptr));
    }
  }

 private:
  static constexpr std::uint64_t kInside = 0xffff;
  static constexpr std::uint64_t kOpen = 0x10000;
  static constexpr std::uint64_t kNextJob = 0x20000;

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

  bool is_news(std::uint64_t state, std::uint64_t seen) const {
    return (state & kOpen) != 0 && (state & ~(kInside | kOpen)) != seen;
  }
  void serve();

  const TileFunction* job_ = nullptr;
  std::int64_t count_ = 0;
  std::int64_t tile_ = 1;
  std::uint64_t number_ = 0;
  std::atomic<std::int64_t> next_{0};
  std::atomic<std::uint64_t> state_{0};
  std::exception_ptr failure_;
  std::atomic<int> sleepers_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::thread> threads_;
};

thread_local std::unique_ptr<Team> team;
thread_local bool inside_tile = false;

void Team::serve() {
  inside_tile = true;  // a helper never starts helpers
  std::uint64_t seen = 0;
  for (int spin = 0; !stop_.load(std::memory_order_relaxed); ++spin) {
    std::uint64_t state = state_.load(std::memory_order_acquire);
    if (is_news(state, seen)) {
      if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) {
        work();
        state_.fetch_sub(1, std::memory_order_release);
        seen = state & ~(kInside | kOpen);
        spin = 0;
      }
    } else if (spin < kSpins) {
      relax();
    } else {
      std::unique_lock lock(mutex_);
      ++sleepers_;
      wake_.wait(lock, [&] { return stop_.load() || is_news(state_.load(), seen); });
      --sleepers_;
      spin = 0;
    }
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
  if (count <= tile) {
    if (count > 0) {
      f(0, count);
    }
    return;
  }
  if (!team || inside_tile) {
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
