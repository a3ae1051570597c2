// Where a rank's dense gradients go, and how those of all ranks become one: what LaneStrategy asks of mirrored and of
// fully sharded training. (Those of sparse tables: sparse_gradients.h.)
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "trireme/core/autograd/tensor.h"
#include "trireme/strategies/step_plans.h"

namespace trireme::strategies {

// Where a leaf's gradients go: on the stack of partial sums of sharding/lane_plan.h.
struct LeafPlace {
  int height = 0;    // the stack's height before this leaf
  int merges = 0;    // additions due after it; in fast order the rank's last leaf makes all
  bool last = true;  // the rank's last leaf: what is complete after it may be reduced at once
  const StepPlan* plan = nullptr;
};

struct TrainedParameter {
  std::string name;
  Tensor tensor;
  NodeRef leaf;           // kept, so that a parameter frozen later still has its hook and buffer
  std::size_t index = 0;  // among all parameters of the model, frozen ones included
};

// Used by the rank's one training thread.
class GradientReduction {
 public:
  virtual ~GradientReduction() = default;

  // A leaf is about to run: its gradients will be written to the place, replacing what was shown before.
  virtual void open_leaf(const LeafPlace& place) = 0;
  // The leaf's last (or only) backward pass is about to run: sums are completed as it goes, and reduced if place.last.
  virtual void close_leaf() = 0;
  // The leaf's backward is over: parameters that got no gradient count as zero in this leaf. used[i] tells which got
  // one.
  virtual void end_leaf(std::vector<bool>& used) = 0;
  // This rank has no leaf in the step: takes part in every reduction without parts.
  virtual void reduce_without_parts(const StepPlan& plan) = 0;
  // Blocks until everything is reduced.
  virtual void finish() = 0;

  // The reduced gradient of what this rank updates of trained parameter i, flat; valid until the next step's first
  // leaf. For the update, and the rows among it that this rank squares for the norm: each row has one rank that does.
  virtual Array reduced(std::size_t i) const = 0;
  virtual Array rows_for_norm(std::size_t i) const = 0;
  // Multiplies every reduced gradient (losses whose weight was only known afterwards).
  virtual void scale(double factor) = 0;
};

}  // namespace trireme::strategies
