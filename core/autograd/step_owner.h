// What a strategy hears of the step in progress: called by Tensor::backward() and by the Loader.
#pragma once

#include "trireme/core/array/array.h"

namespace trireme {

class StepOwner {
 public:
  // A scalar loss is about to be walked: a mean over `weight` terms (weight_depends_on_data: labels may have been
  // ignored). Returns the gradient with which the walk starts: leaf weight / global weight where that is known.
  virtual double begin_backward(const Array& loss, double weight, bool weight_depends_on_data) = 0;
  // This rank has no items in the step (an epoch's short last batch) but must take part in it: reduce and update.
  // step_context() already describes the step.
  virtual void run_idle_step() = 0;

 protected:
  ~StepOwner() = default;
};

}  // namespace trireme
