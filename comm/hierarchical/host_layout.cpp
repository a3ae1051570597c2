#include "trireme/comm/hierarchical/host_layout.h"

#include <algorithm>

namespace trireme::comm::hierarchical {
namespace {

struct Owned {
  Subtree part;
  int host;
};

struct OwnedNode {
  Subtree node;
  int host;
};

// The largest nodes below `node` with parts of one host only. `parts` are those inside the node, left to right.
void collect(Subtree node, std::span<const Owned> parts, std::vector<OwnedNode>& out) {
  if (parts.empty()) {
    return;
  }
  const int host = parts[0].host;
  if (std::all_of(parts.begin(), parts.end(), [&](const Owned& owned) { return owned.host == host; })) {
    out.push_back({node, host});
    return;
  }
  const std::int64_t middle = split_point(node);
  const auto first_right =
      std::find_if(parts.begin(), parts.end(), [&](const Owned& owned) { return owned.part.begin >= middle; });
  const auto left = static_cast<std::size_t>(first_right - parts.begin());
  collect({node.begin, middle}, parts.first(left), out);
  collect({middle, node.end}, parts.subspan(left), out);
}

bool is_inside(Subtree part, Subtree node) { return node.begin <= part.begin && part.end <= node.end; }

// Parts are left to right, so those below a node are neighbours.
HostLayout::Node make_node(const ReductionLayout& layout, const Hosts& hosts, int rank, Subtree subtree) {
  std::vector<std::vector<Subtree>> inside;
  const auto r = static_cast<std::size_t>(rank);
  for (const int mate : hosts.ranks_of(hosts.host_of[r])) {
    std::vector<Subtree>& below = inside.emplace_back();
    const std::vector<Subtree>& all = layout.parts_of_rank[static_cast<std::size_t>(mate)];
    std::copy_if(all.begin(), all.end(), std::back_inserter(below),
                 [&](Subtree part) { return is_inside(part, subtree); });
  }
  const std::vector<Subtree>& own = layout.parts_of_rank[r];
  const auto first = static_cast<std::size_t>(
      std::count_if(own.begin(), own.end(), [&](Subtree part) { return part.end <= subtree.begin; }));
  const std::size_t count = inside[static_cast<std::size_t>(hosts.local_of[r])].size();
  return {subtree, ReductionLayout::make(layout.leaves, std::move(inside)), first, first + count};
}

}  // namespace

HostLayout host_layout(const ReductionLayout& layout, const Hosts& hosts, int rank) {
  const int host = hosts.host_of[static_cast<std::size_t>(rank)];
  std::vector<Owned> parts;
  for (std::size_t owner = 0; owner < layout.parts_of_rank.size(); ++owner) {
    for (const Subtree part : layout.parts_of_rank[owner]) {
      parts.push_back({part, hosts.host_of[owner]});
    }
  }
  std::sort(parts.begin(), parts.end(), [](const Owned& a, const Owned& b) { return a.part < b.part; });
  std::vector<OwnedNode> nodes;
  collect({0, layout.leaves}, parts, nodes);

  HostLayout out;
  std::vector<std::vector<Subtree>> nodes_of_host(static_cast<std::size_t>(hosts.count()));
  for (const OwnedNode& owned : nodes) {
    nodes_of_host[static_cast<std::size_t>(owned.host)].push_back(owned.node);
    if (owned.host == host) {
      out.nodes.push_back(make_node(layout, hosts, rank, owned.node));
    }
  }
  out.across = ReductionLayout::make(layout.leaves, std::move(nodes_of_host));
  return out;
}

HostLayout block_layout(const Hosts& hosts, int rank) {
  const int host = hosts.host_of[static_cast<std::size_t>(rank)];
  std::vector<std::vector<Subtree>> inside;
  for (int local = 0; local < hosts.local_size(host); ++local) {
    inside.push_back({{local, local + 1}});
  }
  std::vector<std::vector<Subtree>> across;
  for (int other = 0; other < hosts.count(); ++other) {
    across.push_back({{other, other + 1}});
  }
  HostLayout out;
  out.nodes.push_back({{host, host + 1}, ReductionLayout::make(hosts.local_size(host), std::move(inside)), 0, 1});
  out.across = ReductionLayout::make(hosts.count(), std::move(across));
  return out;
}

std::shared_ptr<const HostLayout> HostLayouts::find(const std::shared_ptr<const ReductionLayout>& layout,
                                                    const Hosts& hosts, int rank) {
  for (const Entry& entry : entries_) {
    if (entry.layout == layout ||
        (entry.layout->fingerprint == layout->fingerprint && entry.layout->leaves == layout->leaves &&
         entry.layout->parts_of_rank == layout->parts_of_rank)) {
      return entry.derived;
    }
  }
  Entry entry{layout, std::make_shared<const HostLayout>(host_layout(*layout, hosts, rank))};
  if (entries_.size() < kMost) {
    entries_.push_back(entry);
  } else {
    entries_[oldest_++ % kMost] = entry;
  }
  return entry.derived;
}

}  // namespace trireme::comm::hierarchical
