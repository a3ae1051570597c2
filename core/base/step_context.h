// The per-thread context of the step in progress: the one exception to "no hidden globals" (docs/numerics.md).
//
// The Loader and the strategy set it; ops that need randomness (dropout) and Tensor::backward() read it. Each rank is a
// thread (or a process), so ranks never see each other's context. Tiles of parallel_for must not read it.
#pragma once

#include <cstdint>

#include "trireme/core/base/batch_split.h"

namespace trireme {

// What a strategy does for a step in which this rank has no items (an epoch's short last batch).
class IdleStep {
 public:
  virtual void run_idle_step() = 0;

 protected:
  ~IdleStep() = default;
};

struct StepContext {
  std::uint64_t seed = 0;
  std::int64_t step = 0;          // counts from 0 since the first start
  BatchSplit split;               // how the global batch is cut; split.items == 0: no Loader has set it
  std::int64_t leaf = 0;          // the leaf of the lane tree that runs now
  std::int64_t leaf_items = 0;    // items of this leaf's micro-batch
  bool last_leaf_of_rank = true;  // after this leaf's backward, strategy.step() reduces and updates
  // The gradient with which Tensor::backward() starts at a loss, set by the strategy: leaf weight / global weight.
  double root_gradient = 1.0;
  bool recording = true;          // false: ops do not record a tape (NoGrad)
  IdleStep* idle = nullptr;       // called by the Loader in steps that give this rank nothing; set by the strategy
};

// The calling thread's context, for reading, and for Loader and strategy to write.
StepContext& step_context();

// No tape is recorded on this thread while one of these lives (evaluation, sampling).
class NoGrad {
 public:
  NoGrad() : before_(step_context().recording) { step_context().recording = false; }
  ~NoGrad() { step_context().recording = before_; }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

}  // namespace trireme
