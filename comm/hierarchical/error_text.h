// What a part communicator says of a failure, told in the words of the whole: its operation, its ranks. Pure functions.
//
// Every operation that is started on a part communicator is named after the operation it serves, so that a part that
// finds its ranks in disagreement finds the whole's disagreement and can name it.
#pragma once

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::comm::hierarchical {

struct Failure {
  std::string cause;
  std::vector<int> ranks;
};

// "all_reduce #0 "weights" f32 x 1000 (sum) ~1b2c3d4e": the operation as all ranks must have it, and a hash of it, as
// the text may be cut.
OpName tag_of(const Operation& operation);

// `ranks[i]`: the rank that the part communicator calls i. `timeout`: of the whole operation. What was somebody's last
// operation in the part is left out: in the whole he may be further.
Failure translate(const CommError::Details& details, std::span<const int> ranks, std::chrono::milliseconds timeout);

// The reason with which a rank aborts its other part communicators; translate() there gives the failure back.
std::string relay(const Failure& failure);

}  // namespace trireme::comm::hierarchical
