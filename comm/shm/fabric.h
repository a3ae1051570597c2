// What the ranks of one host share: every rank's segment, mapped here, and the processes behind them. Communicators
// (the world and what is split from it) live in it.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "trireme/comm/shm/segment.h"
#include "trireme/comm/store/store.h"
#include "trireme/core/base/activity.h"

namespace trireme::comm::shm {

class Fabric {
 public:
  // Publishes this rank's segment in the store and maps those of its peers. Blocks until all have published, at most
  // `timeout`; raises Error naming who is missing, or why a segment cannot be opened.
  Fabric(int rank, int size, Store& store, std::chrono::milliseconds timeout);
  ~Fabric();
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(peers_.size()); }
  const std::shared_ptr<Segment>& segment() const { return segment_; }
  std::byte* base(int rank) const { return peers_[static_cast<std::size_t>(rank)].base; }
  int pid(int rank) const { return peers_[static_cast<std::size_t>(rank)].pid; }
  // Whether the rank's process has ended. One system call.
  bool is_dead(int rank) const;
  // Offset of the first block that the rank allocated: the world's control block.
  std::size_t first_block(int rank) const { return peers_[static_cast<std::size_t>(rank)].first_block; }
  // What the rank is doing, in its segment.
  ActivityRecord& activity(int rank) const;
  // True if the ranks have a core each, so that waiting by spinning takes nothing from a rank that works.
  bool has_core_for_each() const { return has_core_for_each_; }

 private:
  struct Peer {
    std::byte* base = nullptr;
    int pid = 0;
    int pidfd = -1;
    std::size_t first_block = 0;
  };
  void publish(Store& store) const;
  void open_peer(int rank, const std::string& entry);

  const int rank_;
  std::shared_ptr<const AddressRange> range_;
  std::shared_ptr<Segment> segment_;
  std::vector<Peer> peers_;
  bool has_core_for_each_;
};

}  // namespace trireme::comm::shm
