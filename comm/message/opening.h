// Openings: the first message of every collective, from each rank to each. It says what the rank has started, so that
// a disagreement is found before any length depends on it, and it carries the data of small operations: one latency for
// both. Receives for the next collectives are always posted, so an opening never waits for its receiver.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "trireme/comm/message/link.h"
#include "trireme/comm/signature.h"

namespace trireme::comm::message {

inline constexpr std::uint64_t kWindow = 4;                // collectives opened ahead of their turn
inline constexpr std::size_t kMaxPayloadBytes = 32 << 10;  // larger operations exchange their data afterwards

struct alignas(64) OpeningHead {
  std::uint64_t sequence = 0;
  Signature signature;
  OpName name;
};

// The openings of the collectives in flight, by sequence number. send() and expect() for one, and the rest for another
// thread at a time.
class Openings {
 public:
  Openings(Link& link, std::function<void()> look);

  // Where this rank puts the payload of its opening, and off it goes to everybody. Raises LinkError.
  std::span<std::byte> payload_to_send(std::uint64_t sequence);
  void send(std::uint64_t sequence, const Signature& signature, const OpName& name, std::size_t payload_bytes);
  // Posts the receives for this collective; those that had their place have been read.
  void expect(std::uint64_t sequence);

  // Each blocks until it has arrived, or gone out. Raises LinkError, and what `look` raises.
  void wait_for(std::uint64_t sequence, int peer);
  void wait_until_sent(std::uint64_t sequence, int peer);
  // REQUIRES: wait_for() has returned.
  const OpeningHead& head(std::uint64_t sequence, int peer) const;
  const std::byte* payload(std::uint64_t sequence, int peer) const;

  // The peers whose openings have not arrived.
  std::vector<int> missing(std::uint64_t sequence);
  // Raises LinkError if the lost peer's opening has not arrived.
  void check(std::uint64_t sequence, int peer);

 private:
  struct Exchange {  // with one peer
    Link::Ticket sending = 0;
    Link::Ticket receiving = 0;
    bool arrived = false;
    std::optional<LinkError> lost;  // before the receive was posted
  };
  bool test(Exchange& with, Link::Deadline deadline);
  Exchange& exchange(std::uint64_t sequence, int peer) {
    return exchanges_[sequence % kWindow * static_cast<std::size_t>(link_.size()) + static_cast<std::size_t>(peer)];
  }
  std::byte* sent(std::uint64_t sequence) const;
  std::byte* received(std::uint64_t sequence, int peer) const;

  Link& link_;
  std::function<void()> look_;
  std::vector<Exchange> exchanges_;
  Array memory_;  // of whole openings, each with room for its payload
};

}  // namespace trireme::comm::message
