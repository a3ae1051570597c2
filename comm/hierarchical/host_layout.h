// A canonical reduction over ranks, seen as one over hosts: which nodes of the lane tree a host can finish by itself.
// Pure functions; see core/base/lane_tree.h.
#pragma once

#include <memory>
#include <vector>

#include "trireme/comm/communicator.h"
#include "trireme/comm/hierarchical/hosts.h"

namespace trireme::comm::hierarchical {

struct HostLayout {
  // A largest node of the tree all of whose parts are on this host: absent leaves are skipped, so its value needs
  // nobody else.
  struct Node {
    Subtree subtree;
    std::shared_ptr<const ReductionLayout> inside;  // the parts of this host's ranks below the node
    std::size_t first_part;                         // of this rank's parts, those below the node
    std::size_t end_part;
  };
  std::vector<Node> nodes;                        // of one host, left to right
  std::shared_ptr<const ReductionLayout> across;  // the nodes of all hosts, a "rank" being a host
};

// As `rank` needs it. The reductions inside, then the one across, make the additions of `layout` and no other.
HostLayout host_layout(const ReductionLayout& layout, const Hosts& hosts, int rank);

// For ReduceOrder::fast: each host is one block, in which local rank l brings leaf l.
HostLayout block_layout(const Hosts& hosts, int rank);

// The layouts met so far, so that a training step derives none. A few: the short batch at an epoch's end has its own.
class HostLayouts {
 public:
  std::shared_ptr<const HostLayout> find(const std::shared_ptr<const ReductionLayout>& layout, const Hosts& hosts,
                                         int rank);

 private:
  static constexpr std::size_t kMost = 16;
  struct Entry {
    std::shared_ptr<const ReductionLayout> layout;
    std::shared_ptr<const HostLayout> derived;
  };
  std::vector<Entry> entries_;
  std::size_t oldest_ = 0;
};

}  // namespace trireme::comm::hierarchical
