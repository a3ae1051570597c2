// What a strategy hears of the step in progress: called by Tensor::backward(), by the Loader, and by ops that look at
// the whole global batch.
#pragma once

#include <string_view>

#include "trireme/core/array/array.h"
#include "trireme/core/array/sparse_rows.h"
#include "trireme/core/base/error.h"

namespace trireme {

class Node;

class StepOwner {
 public:
  // A scalar loss is about to be walked: a mean over `weight` terms (weight_depends_on_data: labels may have been
  // ignored). Returns the gradient with which the walk starts: leaf weight / global weight where that is known.
  virtual double begin_backward(const Array& loss, double weight, bool weight_depends_on_data) = 0;
  // This rank has no items in the step (an epoch's short last batch) but must take part in it: reduce and update.
  // step_context() already describes the step.
  virtual void run_idle_step() = 0;
  // Adds `values` (f64) element by element over all lanes of the global batch, in place: the statistics of synchronized
  // batch normalization. Blocks until every rank that has items in this step has called it; all do so in one order,
  // with equal counts and names. Possible only where every rank runs one leaf a step: leaves that run one after another
  // cannot wait for each other. Raises a usage Error that says what to do where it is not.
  virtual void sum_over_batch(const Array& values, std::string_view name) {
    (void)values;
    fail_usage("{}: this strategy cannot add statistics over ranks; turn synchronized batch normalization off", name);
  }

  // The present values of rows of a table that has none in this process: those that `indices` (i64 [n], within the
  // table) name, ascending, each once. `table`: the parameter's leaf. Raises Error where this strategy keeps all
  // values.
  virtual SparseRows rows_of(const Node* table, const Array& indices) {
    (void)table;
    fail("a look-up of {} rows in a table that has no values; call prepare() first", indices.count());
  }

 protected:
  ~StepOwner() = default;
};

}  // namespace trireme
