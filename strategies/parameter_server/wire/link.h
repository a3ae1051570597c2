// One connection between two processes, and the carriers that make them: what shared memory and gRPC have in common.
// Links know nothing of workers, servers, tokens or windows: that is WireEndpoint's business.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "trireme/strategies/parameter_server/wire/messages.h"

namespace trireme::strategies::parameter_server::wire {

// What a link tells its owner, from threads of the carrier. None of these may block.
class LinkHandler {
 public:
  virtual ~LinkHandler() = default;
  // One after the other, in order.
  virtual void on_parcel(Parcel parcel) = 0;
  // Asked before the next parcel is looked at. After false the link waits until read_on().
  virtual bool wants_more() = 0;
  // What the arrays of a parcel may have in bytes: nothing before the peer is known.
  virtual std::size_t most_bytes() = 0;
  // So many bytes of parcels (as bytes_of() counts) have left this process's queue.
  virtual void on_left(std::size_t bytes) = 0;
  // The connection is over: once, and nothing comes after it.
  virtual void on_end(const std::string& why) = 0;
};

class Link {
 public:
  virtual ~Link() = default;
  // Puts the parcel at the end of the queue and returns; dropped without a word once the connection is over. Any
  // thread.
  virtual void send(Parcel parcel) = 0;
  virtual void read_on() = 0;
  // After what is queued the peer is told that this side has left; then the connection ends.
  virtual void leave() = 0;
  // Ends the connection now. on_end() comes from a thread of the carrier.
  virtual void cut() = 0;
};

// What on_end() says after the peer's leave().
inline constexpr const char* kHasLeft = "has left";

// Somebody has called; returns who will hear of that link. Called by threads of the carrier.
using Accept = std::function<std::shared_ptr<LinkHandler>(const std::shared_ptr<Link>&)>;

// Destruction ends all links, with their on_end(), and all threads.
class Carrier {
 public:
  virtual ~Carrier() = default;
  // Adds where this process listens to what others are told of it. Nothing is accepted before.
  virtual void listen(Address& address, Accept accept) = 0;
  // Calls whoever listens there: a link whose further fate its handler hears of. Raises Error if nobody listens.
  virtual std::shared_ptr<Link> dial(const Address& address, std::shared_ptr<LinkHandler> handler) = 0;
};

}  // namespace trireme::strategies::parameter_server::wire
