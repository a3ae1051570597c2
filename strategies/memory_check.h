// Refuses early what cannot fit: an out-of-memory kill in mid-training names nobody and says nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "trireme/comm/communicator.h"
#include "trireme/sharding/memory_plan.h"

namespace trireme::strategies {

// What a rank will use, and what there is.
struct MemoryNeed {
  std::int64_t host = 0;          // a hash of its name: ranks with the same one share the machine's memory
  std::int64_t host_bytes = 0;    // 0: unknown
  std::int64_t cgroup = 0;        // likewise, of host and cgroup: ranks may each have a limit of their own
  std::int64_t cgroup_bytes = 0;  // 0: no limit
  std::int64_t bytes = 0;         // needed by this rank
};

// Why these ranks cannot fit, as the end of a message: "ranks 0 to 3 need 8.2 GiB together, and their machine has
// 7.8"; empty if they can. Pure.
std::string why_too_much(const std::vector<MemoryNeed>& needs);

// Raises Error on every rank, naming `who`, unless all ranks fit into the memory of their machines and into the limits
// of their cgroups, each with the peak of `plan`. Collective; allocates nothing to speak of.
void require_memory(comm::Communicator& communicator, std::string_view who, const sharding::MemoryPlan& plan);

}  // namespace trireme::strategies
