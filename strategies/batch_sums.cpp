#include "trireme/strategies/batch_sums.h"

#include <algorithm>

namespace trireme::strategies {

BatchSums::BatchSums(comm::Communicator& ranks, bool needed) : ranks_(ranks), needed_(needed) {
  if (needed_) {
    groups_[ranks.size()] = ranks.split(0, ranks.rank());
  }
}

void BatchSums::begin(const BatchSplit& split) {
  if (!needed_) {
    return;
  }
  require_usage(split.leaves() == ranks_.size(),
                "synchronized batch normalization: {} lanes x {} micro-batches on {} ranks given; the lanes of a rank "
                "run one after another and cannot exchange statistics; use lanes = {} and no accumulation, or turn it "
                "off",
                split.lanes, split.accumulate, ranks_.size(), ranks_.size());
  const std::int64_t present = std::min(split.items, split.leaves());  // first lanes first
  if (!groups_.contains(present)) {
    groups_[present] = ranks_.split(ranks_.rank() < present ? 0 : -1, ranks_.rank());
  }
}

// The group's tree over its ranks is the lane tree without the absent leaves, which are the last ones.
void BatchSums::sum(const BatchSplit& split, const Array& values, std::string_view name) {
  require(needed_, "{}: synchronized batch normalization outside of the model that was given to prepare()", name);
  begin(split);
  const auto& group = groups_.at(std::min(split.items, split.leaves()));
  group->all_reduce(values, comm::ReduceOp::sum, {.name = name}).wait();
}

}  // namespace trireme::strategies
