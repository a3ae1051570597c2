#include "trireme/core/data/prefetcher.h"

namespace trireme::data {

Prefetcher::Prefetcher(const FeedPlan& plan, std::int64_t step, int depth)
    : plan_(plan), first_step_(step), ring_(static_cast<std::size_t>(depth) + 1), thread_([this] { serve(); }) {}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Prefetcher::serve() {
  std::int64_t step = first_step_;
  std::int64_t leaf = plan_.leaves().begin - 1;
  try {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stop_ || made_ + 1 < taken_ + ring_.size(); });
      if (stop_) {
        return;
      }
      Batch& batch = ring_[made_ % ring_.size()];
      lock.unlock();
      for (leaf = next_leaf(plan_.split_of(step), plan_.leaves(), leaf); leaf < 0;
           leaf = next_leaf(plan_.split_of(step), plan_.leaves(), plan_.leaves().begin - 1)) {
        ++step;
      }
      make_batch(plan_, step, leaf, items_, batch);
      lock.lock();
      ++made_;
      lock.unlock();
      changed_.notify_all();
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    changed_.notify_all();
  }
}

Batch& Prefetcher::next(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const bool ready = changed_.wait_for(lock, timeout, [this] { return made_ > taken_ || failure_; });
  if (made_ > taken_) {
    Batch& batch = ring_[taken_ % ring_.size()];
    ++taken_;
    lock.unlock();
    changed_.notify_all();
    return batch;
  }
  if (failure_) {
    std::rethrow_exception(failure_);
  }
  require(ready,
          "data::Loader: no batch was made within {} ms; the data source hangs, or fetching needs a longer timeout",
          timeout.count());
  return ring_[0];
}

}  // namespace trireme::data
