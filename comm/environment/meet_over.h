// Meeting through a communicator that is there already: MPI knows its ranks before anybody has an address.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "trireme/comm/communicator.h"
#include "trireme/comm/environment/host_table.h"
#include "trireme/comm/environment/meeting.h"

namespace trireme::comm {

// Collective: rank 0 serves a store on a free port and broadcasts where. `token`: empty: rank 0 draws one. It listens
// on the address of `interface`, or, if that is empty, on every interface and tells one that other hosts can reach.
std::shared_ptr<Meeting> meet_over(Communicator& ranks, const std::string& token, const std::string& interface,
                                   std::chrono::milliseconds timeout);

// As exchange_hosts() of host_table.h, by one all_gather.
HostTable exchange_hosts(Communicator& ranks, const HostFacts& facts);

}  // namespace trireme::comm
