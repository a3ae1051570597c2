#include "trireme/comm/hierarchical/levels.h"

#include <algorithm>
#include <numeric>

namespace trireme::comm::hierarchical {

Levels::Levels(Hosts hosts_of_world, std::shared_ptr<Communicator> inside, std::shared_ptr<Communicator> all_ranks)
    : rank(all_ranks->rank()),
      hosts(std::move(hosts_of_world)),
      first(std::move(inside)),
      last(first->split(0, first->rank())),
      whole(std::move(all_ranks)),
      first_ranks(hosts.ranks_of(host())),
      whole_ranks(static_cast<std::size_t>(whole->size())) {
  across = whole->split(local() < hosts.slices ? local() : -1, host());
  std::iota(whole_ranks.begin(), whole_ranks.end(), 0);
  for (int other = 0; other < hosts.count() && is_carrier(); ++other) {
    across_ranks.push_back(hosts.ranks_of(other)[static_cast<std::size_t>(local())]);
  }
  for (int carrier = 0; carrier < hosts.slices; ++carrier) {
    std::vector<std::vector<Subtree>> parts(static_cast<std::size_t>(local_size()));
    parts[static_cast<std::size_t>(carrier)] = {{0, 1}};
    from_carrier.push_back(ReductionLayout::make(1, std::move(parts)));
  }
  block_layout = std::make_shared<const HostLayout>(hierarchical::block_layout(hosts, rank));
}

Communicator* Levels::only() const {
  return hosts.count() == 1 ? first.get() : hosts.count() == hosts.size() ? whole.get() : nullptr;
}

Offsets Levels::slices_of(Range range) const {
  Offsets offsets;
  for (int slice = 0; slice <= local_size(); ++slice) {
    offsets.push_back(slice_begin(range.count(), hosts.slices, std::min(slice, hosts.slices)));
  }
  return offsets;
}

Range Levels::own_slice(Range range) const {
  const auto begin_of = [&](int slice) { return range.begin + slice_begin(range.count(), hosts.slices, slice); };
  const int slice = std::min(local(), hosts.slices);
  return {begin_of(slice), begin_of(std::min(slice + 1, hosts.slices))};
}

}  // namespace trireme::comm::hierarchical
