// The partial sums of sparse tables, brought from every rank to all ranks.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/core/array/sparse_rows.h"

namespace trireme::strategies {

class RowExchange {
 public:
  // `widths`: of the tables' rows, in elements.
  RowExchange(comm::Communicator& ranks, std::vector<std::int64_t> widths)
      : ranks_(ranks), widths_(std::move(widths)) {}

  // own[part][table]: this rank's parts, as many as layout.parts_of_rank says; undefined ones have no rows. Returns
  // [slot of the layout][table]. Collective; blocks. Moves what was touched, and a few numbers a table.
  std::vector<std::vector<SparseRows>> gather(const comm::ReductionLayout& layout,
                                              const std::vector<std::vector<SparseRows>>& own);

 private:
  std::vector<std::int64_t> gather_counts(const comm::ReductionLayout& layout,
                                          const std::vector<std::vector<SparseRows>>& own);

  comm::Communicator& ranks_;
  std::vector<std::int64_t> widths_;
  Array own_counts_;  // [part][table]
  Array all_counts_;  // [rank][part][table]
};

}  // namespace trireme::strategies
