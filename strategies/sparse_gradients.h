// SparseGradients: the gradients of tables that are marked sparse, as rows and never of a table's size.
//
// In a leaf duplicates are summed in the order in which they occur; leaves are added row by row through the lane tree,
// a leaf that has not touched a row being absent for it. So a row has the same bits whatever the number of ranks.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "trireme/core/base/exact_sum.h"
#include "trireme/core/base/lane_tree.h"
#include "trireme/strategies/gradient_reduction.h"
#include "trireme/strategies/row_exchange.h"

namespace trireme::strategies {

// The additions of `plan` on slots[slot][table]; the slots that are added to others have no rows afterwards.
void add_slots(std::vector<std::vector<SparseRows>>& slots, std::span<const Addition> plan);

// Used by the rank's one training thread. Always in canonical order.
class SparseGradients {
 public:
  SparseGradients(comm::Communicator& ranks, std::vector<TrainedParameter> tables);

  std::size_t tables() const { return tables_.size(); }
  // A leaf is about to run.
  void open_leaf();
  // The leaf's backward is over: its rows go onto the stack of partial sums at `height`, then `merges` additions are
  // made. Appends to `used`, for each table, whether the leaf touched it.
  void end_leaf(int height, int merges, std::vector<bool>& used);
  // All ranks' rows become one gradient a table, on every rank, valid until the next call. Collective; blocks.
  void reduce(const StepPlan& plan);
  // The two halves of it, for who adds up in another way: this rank's partial sums, [part][table], and the result.
  std::vector<std::vector<SparseRows>> take_parts(const StepPlan& plan);
  void set_reduced(std::vector<SparseRows> reduced) { reduced_ = std::move(reduced); }

  const SparseRows& reduced(std::size_t table) const { return reduced_[table]; }
  void scale(double factor);
  // Adds the squares of this rank's share of the rows, which are shared out evenly over `size` ranks.
  void add_squares(ExactSum& sum, int rank, int size) const;

 private:
  comm::Communicator& ranks_;
  std::vector<TrainedParameter> tables_;
  RowExchange exchange_;
  std::vector<std::vector<SparseRows>> levels_;  // [height][table]
  std::vector<SparseRows> reduced_;              // [table]
};

}  // namespace trireme::strategies
