// Turns: lets several threads run one at a time, in an order that a seed decides: the same seed, the same interleaving.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace trireme::test {

class Turns {
 public:
  explicit Turns(std::uint64_t seed) : random_(seed) {}

  // Runs the bodies, each on a thread, until all have ended.
  void run(const std::vector<std::function<void()>>& bodies) {
    waiting_.clear();
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      waiting_.push_back(static_cast<int>(i));
    }
    choose();
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      threads.emplace_back([this, i, &body = bodies[i]] {
        me_ = static_cast<int>(i);
        wait();
        body();
        me_ = -1;
        const std::scoped_lock lock(mutex_);
        choose();
      });
    }
  }

  // Called by a body: somebody goes on, maybe the caller at once. Does nothing on other threads.
  void pass() {
    if (me_ < 0) {
      return;
    }
    {
      const std::scoped_lock lock(mutex_);
      waiting_.push_back(me_);
      choose();
    }
    wait();
  }

 private:
  // The one whose turn it is; it leaves the waiting.
  void choose() {
    turn_ = -1;
    if (!waiting_.empty()) {
      const std::size_t at = random_() % waiting_.size();
      turn_ = waiting_[at];
      waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(at));
    }
    changed_.notify_all();
  }

  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return turn_ == me_; });
  }

  static inline thread_local int me_ = -1;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::mt19937_64 random_;
  std::vector<int> waiting_;
  int turn_ = -1;
};

}  // namespace trireme::test
