// Which ranks share a host, as the ranks themselves find it when they meet. What a launcher says about hosts is not
// relied on: it counts a machine with two names twice, and does not see containers.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/comm/store/store.h"

namespace trireme::comm {

// What a rank tells about itself.
struct HostFacts {
  std::string name;          // of the host: TRIREME_HOST_NAME, else the system's
  std::string sharing;       // ranks with the same name and the same text here can share memory
  std::string instructions;  // kernel_instruction_set()
  bool gloo = false;         // whether its build and its machine have this network
  bool mpi = false;
};

class HostTable {
 public:
  explicit HostTable(std::vector<HostFacts> ranks);

  int size() const { return static_cast<int>(ranks_.size()); }
  // Hosts are numbered from 0 in the order of their first ranks.
  int hosts() const { return hosts_; }
  int host_of(int rank) const { return host_of_[static_cast<std::size_t>(rank)]; }
  // The ranks of each host, ascending.
  std::vector<std::vector<int>> ranks_of_host() const;
  bool all_have_gloo() const;
  bool all_have_mpi() const;
  // Empty if all ranks use the same vector instructions; else a sentence that says who uses which.
  std::string different_instructions() const;

 private:
  std::vector<HostFacts> ranks_;
  std::vector<int> host_of_;
  int hosts_ = 0;
};

// Of this process. `host_name`: replaces the system's name if not empty. Two ranks share a host if they have the same
// host name, kernel (boot), process namespace and user: then each can open the other's memory.
HostFacts facts_of_this_process(const std::string& host_name, bool gloo, bool mpi);

// Tells the others this rank's facts and learns theirs; the same table on all ranks. Blocks until all have come, at
// most `timeout`; then an Error on every rank names those that are missing.
HostTable exchange_hosts(int rank, int size, const HostFacts& facts, Store& store, std::chrono::milliseconds timeout);

// One line of text, and back; raises Error on other text.
std::string encode(const HostFacts& facts);
HostFacts decode_facts(std::string_view text);

}  // namespace trireme::comm
