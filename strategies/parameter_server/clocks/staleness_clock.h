// StalenessClock: who may read what, in bounded-stale training (Ho et al., "More effective distributed ML via a stale
// synchronous parallel parameter server", NIPS 2013). Pure: no time, no input or output.
//
// A worker's clock is the number of steps whose pushes were applied here. With staleness s a worker may start step t
// once every living worker's clock is at least t - s: nobody is more than s steps ahead of the slowest.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace trireme::strategies::parameter_server {

class StalenessClock {
 public:
  // `staleness`: nothing means unbounded (async). A worker that has not joined yet counts, at 0: nobody runs away while
  // the others start.
  StalenessClock(int workers, std::optional<std::int64_t> staleness);

  // A new life of the worker: it goes on where the slowest living worker is, which it returns.
  std::int64_t join(int worker);
  // The worker is dead or done: it holds nobody back any more.
  void leave(int worker);
  // The pushes of its step `step` were applied. Steps come in order; a new life may begin later than this clock says,
  // where another server knew more of the worker.
  void finish(int worker, std::int64_t step);

  // The worker is at this step: its life has nothing to push any more of the steps before.
  void reach(int worker, std::int64_t step);

  // All of what step `step` must see was applied.
  bool may_start(std::int64_t step) const;
  std::int64_t clock(int worker) const { return workers_[static_cast<std::size_t>(worker)].clock; }
  // The least clock of the workers that count; if none does, the greatest of all.
  std::int64_t slowest() const;

 private:
  struct Worker {
    std::int64_t clock = 0;
    bool counts = true;
  };
  std::vector<Worker> workers_;
  std::optional<std::int64_t> staleness_;
};

}  // namespace trireme::strategies::parameter_server
