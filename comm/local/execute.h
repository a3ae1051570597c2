// A collective done plainly: given the operations of all ranks, computes every rank's output. The executable
// specification: every other backend must give these bits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::comm {

struct Mismatch {
  std::string cause;
  std::vector<int> ranks;
};
// The first two ranks that differ; nothing if all ranks brought the same operation.
std::optional<Mismatch> mismatch_of(const std::vector<const Operation*>& by_rank);

// REQUIRES: the operations match.
void execute(const std::vector<const Operation*>& by_rank);

}  // namespace trireme::comm
