// The transfers of the collective in progress: started without waiting, waited for one after the other, and known, so
// that a rank that does not come can be named.
#pragma once

#include <functional>
#include <vector>

#include "trireme/comm/message/link.h"

namespace trireme::comm::message {

// Used by one thread at a time. What raises LinkError says so.
class Transfers {
 public:
  using Handle = std::uint32_t;

  // `look` is called now and then while something is waited for; it raises what ends the waiting.
  Transfers(Link& link, std::function<void()> look) : link_(link), look_(std::move(look)) {}

  // Both raise LinkError when the peer is lost.
  Handle send(int peer, std::uint32_t tag, std::span<const std::byte> bytes) {
    return keep(link_.send(peer, tag, bytes), peer, false);
  }
  Handle receive(int peer, std::uint32_t tag, std::span<std::byte> bytes) {
    return keep(link_.receive(peer, tag, bytes), peer, true);
  }
  // Blocks until it is complete; the handle is free then. Raises LinkError when its peer is lost, and what `look`
  // raises.
  void wait(Handle handle);

  // The peers without whom what was started cannot complete: those that have not sent what they should, or else those
  // that do not receive. Takes some milliseconds for each.
  std::vector<int> missing();
  // Raises LinkError if something is still to come from or to go to a lost peer.
  void check(int peer);
  // What was started for an operation that has failed is no longer waited for.
  void forget();

 private:
  struct Started {
    Link::Ticket ticket = 0;
    int peer = -1;  // of a free entry: -1
    bool receives = false;
    bool complete = false;
  };
  Handle keep(Link::Ticket ticket, int peer, bool receives);
  void test(Started& transfer);

  Link& link_;
  std::function<void()> look_;
  std::vector<Started> started_;
  std::vector<Handle> free_;
};

// How often `look` is called.
inline constexpr auto kBetweenLooks = std::chrono::milliseconds(100);

}  // namespace trireme::comm::message
