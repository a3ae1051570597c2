// Sums over the global batch while its leaves run: the exchange behind synchronized batch normalization.
//
// It has communicators of its own. On that of the gradients each sum would wait for the buckets in flight, and the
// order of both would have to be the same on all ranks, which it is not where a parameter is unused in some lanes: its
// bucket starts at the end of backward there, and in the middle elsewhere.
#pragma once

#include <map>
#include <memory>
#include <string_view>

#include "trireme/comm/communicator.h"
#include "trireme/core/base/batch_split.h"

namespace trireme::strategies {

class BatchSums {
 public:
  // `needed`: the model has layers that ask for sums. Collective if so.
  BatchSums(comm::Communicator& ranks, bool needed);

  // A step begins: the ranks that have items in it form a group, of which a rank without any must know. To be called by
  // all ranks at the same place in the order of their collectives; cheap but for the first time that so many take part.
  // Nothing if no layer asks. Raises a usage Error unless each rank has one leaf.
  void begin(const BatchSplit& split);
  // See StepOwner::sum_over_batch. The order of additions is the lane tree's.
  void sum(const BatchSplit& split, const Array& values, std::string_view name);

 private:
  comm::Communicator& ranks_;
  bool needed_;
  std::map<std::int64_t, std::shared_ptr<comm::Communicator>> groups_;  // [ranks that have items]; null: not this one
};

}  // namespace trireme::strategies
