// Link: bytes between the ranks of one communicator, as an engine (Gloo, MPI) moves them. All collectives are built on
// it once (message_communicator.h), so that a new engine is one small class.
//
// There are two ways from rank to rank. Transfers go where the receiver has said before, without a copy; somebody waits
// for each. Letters are short, come unasked, and are read by threads of the link at once, whatever the other threads
// do: they carry the news of failures and farewells, and announce messages.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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

// Who reads the letters. Called by threads of the link: for one peer by one at a time, for different peers maybe
// together. A reader may post letters and start transfers, and must not wait for any.
class LetterReader {
 public:
  virtual ~LetterReader() = default;
  virtual void on_letter(int peer, std::span<const std::byte> letter) = 0;
  // The peer's process has ended, or the way to it is cut. Comes after all letters that it has posted. At most once.
  virtual void on_lost(int peer, const std::string& why) = 0;
};

// All methods may be called by any thread, unless they say otherwise.
class Link {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  // One started transfer.
  using Ticket = std::uint32_t;
  static constexpr std::size_t kMaxLetterBytes = 4096;
  static constexpr std::size_t kMaxTransferBytes = 1 << 30;
  static constexpr std::uint32_t kTags = 1 << 20;  // of transfers: from 0 to one less

  // Ends what is in flight. close() was called before, or open() never.
  virtual ~Link() = default;
  virtual std::string_view backend() const = 0;  // "gloo", "mpi"
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // Transfers match by (source, destination, tag), in the order in which they were started. Both calls return at once.
  // The bytes stay in place, and those of a send unchanged, until wait() has said that the transfer is complete. Both
  // sides know the length: what is sent may be shorter than what is received into, never longer, and empty is allowed.
  // A send may wait for its receive to be started. Raises LinkError when the peer is lost. After the first use nothing
  // is allocated by the link itself.
  virtual Ticket send(int peer, std::uint32_t tag, std::span<const std::byte> bytes) = 0;
  virtual Ticket receive(int peer, std::uint32_t tag, std::span<std::byte> bytes) = 0;
  // Blocks until the transfer is complete: true, and the ticket is free. False when the deadline has passed, with some
  // milliseconds of grace, or interrupt() was called; the transfer goes on. Raises LinkError when the peer was lost
  // before the transfer was complete. Several threads may wait at once, each for other tickets.
  virtual bool wait(Ticket ticket, Deadline deadline) = 0;
  // Every wait() ends now, and every later one ends within milliseconds: true if its transfer is complete. The link is
  // being given up. Letters still travel. Never blocks.
  virtual void interrupt() = 0;

  // Letters begin to be read. `reader` stays until close() has returned; no call to it is running then, and none
  // follows. Both are called once.
  virtual void open(LetterReader& reader) = 0;
  virtual void close() = 0;
  // Copies the letter (at most kMaxLetterBytes) and returns at once. Letters to one peer arrive in order. What cannot
  // be delivered is lost without an error: on_lost() tells.
  virtual void post(int peer, std::span<const std::byte> letter) = 0;

  // From how many bytes on all_reduce() is faster than what comm/message makes of transfers.
  virtual std::size_t fast_from() const { return 0; }
  // The engine's own all_reduce, in place (ReduceOrder::fast). Blocks, at most until the deadline. False, with nothing
  // done, where the engine has none for this dtype and operation: the same answer on every rank. Not with another
  // thread in it.
  virtual bool all_reduce(std::byte* data, std::int64_t count, DType dtype, ReduceOp op, Deadline deadline) = 0;

  // A new link between `members` (ranks of this one, this one among them), in that order. Called by all members with
  // the same `generation`, which no other split of this link has; other ranks take no part.
  virtual std::unique_ptr<Link> split(const std::vector<int>& members, std::uint64_t generation, Deadline deadline) = 0;
};

}  // namespace trireme::comm
