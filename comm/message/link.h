// Link: messages of bytes between the ranks of one communicator, as an engine (Gloo, MPI) moves them. All collectives
// are built on it once (message_communicator.h), so that a new engine is one small class.
//
// A message goes from one rank to another under a tag; messages of one (source, destination, tag) arrive in the order
// in which they were sent, and match receives in the order in which those were posted. Used by one thread at a time,
// except interrupt().
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "trireme/comm/communicator.h"
#include "trireme/core/base/error.h"

namespace trireme::comm {

// The engine lost a peer, or refused. `peer` is -1 where the engine cannot tell which.
class LinkError : public Error {
 public:
  LinkError(const std::string& message, int peer) : Error(message), peer_(peer) {}
  int peer() const { return peer_; }

 private:
  int peer_;
};

class Link {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  // One posted send or receive; free again once it was seen complete.
  using Ticket = std::uint32_t;

  virtual ~Link() = default;
  virtual std::string_view backend() const = 0;  // "gloo", "mpi"
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Both return at once. The bytes stay in place, and those of a send unchanged, until the ticket is complete. A
  // message shorter than its receive is fine (received() tells), a longer one is a LinkError or undefined: lengths that
  // depend on a peer's arguments are agreed on before. Empty messages are allowed. After the first use of a region of
  // memory nothing is allocated.
  virtual Ticket send(int peer, std::uint32_t tag, std::span<const std::byte> bytes) = 0;
  virtual Ticket receive(int peer, std::uint32_t tag, std::span<std::byte> bytes) = 0;
  // True once complete; frees the ticket. Never blocks. Raises LinkError when the peer is lost.
  virtual bool test(Ticket ticket) = 0;
  // Blocks until something that was posted may have completed, interrupt() was called, or the deadline has passed. May
  // return early. Raises LinkError when a peer is lost.
  virtual void wait_for_progress(Deadline deadline) = 0;
  // Wakes wait_for_progress(); any thread, never blocks.
  virtual void interrupt() = 0;

  // The engine's own all_reduce, in place (ReduceOrder::fast). Blocks, at most until the deadline. False, with nothing
  // done, where the engine has none for this dtype and operation: the same answer on every rank.
  virtual bool all_reduce(std::byte* data, std::int64_t count, DType dtype, ReduceOp op, Deadline deadline) = 0;

  // A new link between the ranks of one colour, ordered by (key, rank); nullptr for a negative colour. Collective.
  virtual std::unique_ptr<Link> split(int colour, int key, Deadline deadline) = 0;
};

}  // namespace trireme::comm
