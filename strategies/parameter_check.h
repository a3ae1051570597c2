// Are all ranks about to train the same model?
#pragma once

#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/core/nn/module.h"

namespace trireme::strategies {

// Compares names, dtypes and shapes of the parameters with rank 0's. Collective. Raises Error on every rank, naming the
// first parameter that differs, if any rank differs.
void require_same_parameters(comm::Communicator& communicator, const std::vector<nn::NamedParameter>& parameters);

}  // namespace trireme::strategies
