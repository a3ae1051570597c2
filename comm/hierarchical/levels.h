// The part communicators of one rank, and the lists of elements that their operations need.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/comm/hierarchical/host_layout.h"

namespace trireme::comm::hierarchical {

using Offsets = PoolVector<std::int64_t>;

struct Range {
  std::int64_t begin;
  std::int64_t end;
  std::int64_t count() const { return end - begin; }
};

struct Levels {
  // Collective; see connect_hierarchical().
  Levels(Hosts hosts, std::shared_ptr<Communicator> inside, std::shared_ptr<Communicator> whole);

  int host() const { return hosts.host_of[static_cast<std::size_t>(rank)]; }
  int local() const { return hosts.local_of[static_cast<std::size_t>(rank)]; }
  int local_size() const { return hosts.local_size(host()); }
  bool is_carrier() const { return across != nullptr; }
  // A single host, or hosts of one rank each: one communicator serves all. Null otherwise.
  Communicator* only() const;
  // All of them; those that are missing are null.
  std::array<Communicator*, 4> all() const { return {first.get(), across.get(), last.get(), whole.get()}; }

  // Where the slices of `range` begin, from 0, by local rank: carriers have one, the others nothing.
  Offsets slices_of(Range range) const;
  Range own_slice(Range range) const;

  int rank;
  Hosts hosts;
  std::shared_ptr<Communicator> first;   // this host's ranks, for what comes before `across`
  std::shared_ptr<Communicator> last;    // the same ranks, for what comes after
  std::shared_ptr<Communicator> across;  // the carriers of one slice, by host; null on a rank that carries none
  std::shared_ptr<Communicator> whole;   // all ranks
  std::vector<int> first_ranks;          // [rank in it]: the rank it is here
  std::vector<int> across_ranks;
  std::vector<int> whole_ranks;
  std::vector<std::shared_ptr<const ReductionLayout>> from_carrier;  // [local rank]: only it brings a part, of one leaf
  std::shared_ptr<const HostLayout> block_layout;                    // of ReduceOrder::fast
};

}  // namespace trireme::comm::hierarchical
