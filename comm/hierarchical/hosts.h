// Which ranks share a host, and who speaks for whom across hosts: plain arithmetic.
#pragma once

#include <cstdint>
#include <vector>

namespace trireme::comm::hierarchical {

// Neighbouring ranks of one host: ranks [first_rank, first_rank + length) are its local ranks from first_local on.
struct Run {
  int host;
  int first_rank;
  int first_local;
  int length;
};

struct Hosts {
  std::vector<std::vector<int>> ranks;  // [host][local rank], ascending; hosts in the order of their first ranks
  std::vector<int> host_of;             // [rank]
  std::vector<int> local_of;            // [rank]
  std::vector<std::vector<Run>> runs;   // [host]: its ranks, left to right
  int slices = 1;                       // carriers of each host: the ranks of the smallest one

  // Raises Error unless the groups are disjoint, ascending, not empty, and together 0 to n - 1.
  static Hosts make(std::vector<std::vector<int>> ranks_of_host);

  int count() const { return static_cast<int>(ranks.size()); }
  int size() const { return static_cast<int>(host_of.size()); }
  const std::vector<int>& ranks_of(int host) const { return ranks[static_cast<std::size_t>(host)]; }
  int local_size(int host) const { return static_cast<int>(ranks_of(host).size()); }
  // The local rank, below `slices`, that receives from other hosts what is for this rank. Ascends with the local rank.
  int carrier_of(int rank) const {
    const auto r = static_cast<std::size_t>(rank);
    return local_of[r] * slices / local_size(host_of[r]);
  }
};

// Where slice `slice` of `count` elements begins when they are cut into `slices`: at a multiple of 16 elements.
std::int64_t slice_begin(std::int64_t count, int slices, int slice);

}  // namespace trireme::comm::hierarchical
