// A training loop over lanes without data files: what data::Loader does to step_context(), spelled out for tests.
#pragma once

#include <functional>

#include "trireme/core/autograd/step_owner.h"
#include "trireme/core/base/step_context.h"

namespace trireme::test {

// Runs body(leaf) for each present leaf that the rank owns in this step; a rank without one runs the owner's idle step.
inline void run_step(const BatchSplit& split, std::int64_t step, int rank, int size,
                     const std::function<void(std::int64_t leaf)>& body) {
  StepContext& context = step_context();
  context.step = step;
  context.split = split;
  const Subtree mine = split.leaves_of(rank, size);
  std::int64_t last = -1;
  for (std::int64_t leaf = mine.begin; leaf < mine.end; ++leaf) {
    if (split.items_of(leaf) > 0) {
      last = leaf;
    }
  }
  if (last < 0) {
    context.owner->run_idle_step();
  }
  for (std::int64_t leaf = mine.begin; leaf <= last; ++leaf) {
    if (split.items_of(leaf) == 0) {
      continue;
    }
    context.leaf = leaf;
    ++context.pass;
    context.leaf_items = split.items_of(leaf);
    context.last_leaf_of_rank = leaf == last;
    body(leaf);
  }
  context.split = {};
}

}  // namespace trireme::test
