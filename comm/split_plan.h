// Who is in which part of a split communicator: the same arithmetic for every backend.
#pragma once

#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::comm {

// The ranks of `communicator` that gave `colour`, ordered by (key, rank). Collective. Empty for a negative colour.
std::vector<int> members_of_split(Communicator& communicator, int colour, int key);

}  // namespace trireme::comm
