// One background thread that makes batches ahead of the loop, in a ring of recycled ones. For the Loader.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "trireme/core/data/leaf_feed.h"

namespace trireme::data {

class Prefetcher {
 public:
  // Starts at the first leaf of `step`; keeps at most `depth` batches ready. `plan` must outlive this.
  Prefetcher(const FeedPlan& plan, std::int64_t step, int depth);
  // Stops the thread; blocks until the fetch in progress has ended.
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The next leaf's batch, valid until the next call. Blocks until it is made; rethrows what the dataset or a map step
  // raised. Raises Error after `timeout` without a batch.
  Batch& next(std::chrono::milliseconds timeout);

 private:
  void serve();

  const FeedPlan& plan_;
  const std::int64_t first_step_;
  std::vector<Batch> ring_;
  std::vector<std::int64_t> items_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t made_ = 0;   // batches finished, ever
  std::size_t taken_ = 0;  // batches handed out, ever; the last of them is still in use
  bool stop_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace trireme::data
