// Ranks on any hosts over TCP, by Gloo. All collectives are comm/message's; Gloo moves the bytes.
//
// Needs Gloo (Debian: libgloo-dev) when Trireme is built; connect_gloo() raises an Error that says so where it is not.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "trireme/comm/communicator.h"
#include "trireme/comm/store/store.h"

namespace trireme::comm {

struct GlooOptions {
  std::string interface = {};  // a network interface ("eth1") or an address of this host; empty: chosen as below
  // Whose side of the network is taken when `interface` is empty and the ranks are on several hosts: the address from
  // which this host reaches that one (MASTER_ADDR). Ranks of one host use loopback.
  std::string towards = {};
  std::string prefix = "gloo";  // of the keys in the store; a generation of ranks needs one that was never used there
  std::chrono::milliseconds timeout{60000};  // of the start, and the default of every operation
};

// Blocks until all ranks have found each other, at most options.timeout. Raises Error naming the interface that does
// not exist, the rank that did not come, or the address that could not be reached and from where. The store is needed
// as long as the communicator: split() meets there.
std::shared_ptr<Communicator> connect_gloo(int rank, int size, std::shared_ptr<Store> store,
                                           const GlooOptions& options = {});

// Whether this build has it.
bool has_gloo();

}  // namespace trireme::comm
