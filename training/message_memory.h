// What it takes to carry messages between ranks, for memory plans: the scratch memory in which Gloo and MPI add up, and
// what operations over several hosts keep on their way from one level to the next. Pure arithmetic.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "trireme/sharding/training_shape.h"
#include "trireme/training/job_plan.h"

namespace trireme::training {

// Bytes of the rank that needs most, over `backend` as programs name it; 0 where ranks share memory. On several hosts
// neighbouring ranks share one, as `trireme run` places them.
std::int64_t message_memory(std::string_view backend, const PlannedWorld& world, const sharding::TrainingShape& shape,
                            std::span<const sharding::PlannedParameter> parameters);

}  // namespace trireme::training
