#include "trireme/comm/message/transfers.h"

#include <algorithm>

namespace trireme::comm::message {

Transfers::Handle Transfers::keep(Link::Ticket ticket, int peer, bool receives) {
  if (free_.empty()) {
    free_.push_back(static_cast<Handle>(started_.size()));
    started_.emplace_back();
  }
  const Handle handle = free_.back();
  free_.pop_back();
  started_[handle] = {ticket, peer, receives, false};
  return handle;
}

void Transfers::wait(Handle handle) {
  while (!started_[handle].complete) {
    if (link_.wait(started_[handle].ticket, std::chrono::steady_clock::now() + kBetweenLooks)) {
      break;
    }
    look_();
  }
  started_[handle] = {};
  free_.push_back(handle);
}

void Transfers::test(Started& transfer) {
  transfer.complete = transfer.complete || link_.wait(transfer.ticket, Link::Deadline::min());
}

std::vector<int> Transfers::missing() {
  std::vector<int> peers;
  for (const bool receives : {true, false}) {
    for (Started& transfer : started_) {
      if (transfer.peer >= 0 && transfer.receives == receives) {
        test(transfer);
        if (!transfer.complete) {
          peers.push_back(transfer.peer);
        }
      }
    }
    if (!peers.empty()) {
      break;
    }
  }
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  return peers;
}

void Transfers::check(int peer) {
  for (Started& transfer : started_) {
    if (transfer.peer == peer) {
      test(transfer);
    }
  }
}

void Transfers::forget() {
  started_.clear();
  free_.clear();
}

}  // namespace trireme::comm::message
