#include "trireme/comm/hierarchical/hosts.h"

#include <algorithm>

#include "trireme/core/base/error.h"

namespace trireme::comm::hierarchical {
namespace {

constexpr std::int64_t kSliceElements = 16;  // a cache line of f32

std::vector<Run> runs_of(int host, const std::vector<int>& ranks) {
  std::vector<Run> runs;
  for (int local = 0; local < static_cast<int>(ranks.size()); ++local) {
    const int rank = ranks[static_cast<std::size_t>(local)];
    if (!runs.empty() && rank == runs.back().first_rank + runs.back().length) {
      ++runs.back().length;
    } else {
      runs.push_back({host, rank, local, 1});
    }
  }
  return runs;
}

}  // namespace

Hosts Hosts::make(std::vector<std::vector<int>> ranks_of_host) {
  Hosts hosts;
  std::size_t size = 0;
  std::size_t smallest = SIZE_MAX;
  for (const std::vector<int>& ranks : ranks_of_host) {
    require(!ranks.empty(), "hierarchical communicator: a host without ranks given; leave it out");
    size += ranks.size();
    smallest = std::min(smallest, ranks.size());
  }
  require(size > 0, "hierarchical communicator: no hosts given");
  std::sort(ranks_of_host.begin(), ranks_of_host.end());
  hosts.ranks = std::move(ranks_of_host);
  hosts.slices = static_cast<int>(smallest);
  hosts.host_of.assign(size, -1);
  hosts.local_of.assign(size, -1);
  for (int host = 0; host < hosts.count(); ++host) {
    const std::vector<int>& ranks = hosts.ranks_of(host);
    for (std::size_t local = 0; local < ranks.size(); ++local) {
      const int rank = ranks[local];
      require(rank >= 0 && static_cast<std::size_t>(rank) < size && (local == 0 || ranks[local - 1] < rank) &&
                  hosts.host_of[static_cast<std::size_t>(rank)] < 0,
              "hierarchical communicator: rank {} given for host {}; each of the ranks 0 to {} expected once, those of "
              "a host ascending",
              rank, host, size - 1);
      hosts.host_of[static_cast<std::size_t>(rank)] = host;
      hosts.local_of[static_cast<std::size_t>(rank)] = static_cast<int>(local);
    }
    hosts.runs.push_back(runs_of(host, ranks));
  }
  return hosts;
}

std::int64_t slice_begin(std::int64_t count, int slices, int slice) {
  return slice == slices ? count : count * slice / slices / kSliceElements * kSliceElements;
}

}  // namespace trireme::comm::hierarchical
