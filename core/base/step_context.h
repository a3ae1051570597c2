// The per-thread context of the step in progress: the one exception to "no hidden globals" (docs/numerics.md).
//
// The Loader and the strategy set it; ops that need randomness (dropout) and Tensor::backward() read it. Each rank is a
// thread (or a process), so ranks never see each other's context. Tiles of parallel_for must not read it.
#pragma once

#include <cstdint>

#include "trireme/core/base/batch_split.h"

namespace trireme {

// Who owns the steps of this thread: a strategy. See core/autograd/step_owner.h.
class StepOwner;
// A part of the forward pass that runs twice. See core/autograd/checkpoint.h.
class FirstRun;
class SecondRun;

struct StepContext {
  std::uint64_t seed = 0;
  std::int64_t step = 0;            // counts from 0 since the first start
  BatchSplit split;                 // how the global batch is cut; split.items == 0: no Loader has set it
  std::int64_t leaf = 0;            // the leaf of the lane tree that runs now
  std::int64_t leaf_items = 0;      // items of this leaf's micro-batch
  std::uint64_t pass = 0;           // changes with each leaf that begins: call numbers within a leaf start again at 0
  bool last_leaf_of_rank = true;    // after this leaf's backward, strategy.step() reduces and updates
  bool recording = true;            // false: ops do not record a tape (NoGrad)
  bool recording_later = false;     // the tape is recorded when this part of the forward pass runs again, in backward
  FirstRun* first_run = nullptr;    // the part that runs for the first time, to run again; null: none
  SecondRun* second_run = nullptr;  // the part that runs again: nothing may be observed or counted a second time
  StepOwner* owner = nullptr;       // weights losses and takes gradients; null: a program without a strategy
};

// The calling thread's context, for reading, and for Loader and strategy to write.
StepContext& step_context();

// No tape is recorded on this thread while one of these lives (evaluation, sampling).
class NoGrad {
 public:
  NoGrad() : before_(step_context().recording), later_(step_context().recording_later) {
    step_context().recording = step_context().recording_later = false;
  }
  ~NoGrad() {
    step_context().recording = before_;
    step_context().recording_later = later_;
  }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
  bool later_;
};

}  // namespace trireme
