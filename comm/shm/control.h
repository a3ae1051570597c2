// What a rank of a communicator shows its peers, in its own segment: plain data, one writer for each field unless
// noted.
//
// An operation's slot is published by storing its sequence number + 1 last; peers wait for that number, then read the
// rest. A waiter sleeps on its own doorbell; whoever changes something that it may wait for rings it if it is parked.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "trireme/comm/fixed_text.h"
#include "trireme/comm/signature.h"

namespace trireme::comm::shm {

inline constexpr std::size_t kWindow = 64;             // collectives in flight; more wait on their own rank
inline constexpr std::size_t kMailboxes = 8;           // of them small, with their data in a mailbox
inline constexpr std::size_t kTinyBytes = 256;         // up to here by mailbox even if arrays are in the segments
inline constexpr std::size_t kMailboxBytes = 2 << 10;  // above, two meetings cost less than everyone copying everything
inline constexpr std::size_t kMaxParts = 32;           // of one rank; more are staged
inline constexpr std::size_t kMessages = 32;           // sends in flight
inline constexpr std::size_t kExchangeBuffers = 2;
inline constexpr std::size_t kExchangeBytes = 256 << 10;  // of one buffer
inline constexpr std::uint64_t kNowhere = ~std::uint64_t{0};

// Where peers find a rank's data: nowhere yet, in its arrays themselves, or in the mailbox of the operation.
enum class Reach : std::uint32_t { none, array, mailbox };

// One collective. The first cache line is all that is read unless something is unusual.
struct alignas(64) Slot {
  std::atomic<std::uint64_t> published{0};  // sequence + 1
  Signature signature;
  std::uint64_t input = kNowhere;  // offsets in the segment; kNowhere: not in the segment
  std::uint64_t output = kNowhere;
  std::uint32_t part_count = 0;
  Reach reach = Reach::none;
  OpName name;
  std::uint64_t parts[kMaxParts];
};
static_assert(offsetof(Slot, name) == 64);

enum class MessageState : std::uint64_t { free, posted, taken, refused };

// What a receiver must see in one piece: an entry may be taken by its receiver and used for another one at any time.
struct MessageHeader {
  MessageState state = MessageState::free;
  int destination = 0;
  std::uint64_t order = 0;  // of the sends of this rank

  std::uint64_t packed() const {
    return static_cast<std::uint64_t>(state) | static_cast<std::uint64_t>(destination) << 2 | order << 24;
  }
  static MessageHeader unpack(std::uint64_t bits) {
    return {static_cast<MessageState>(bits & 3), static_cast<int>(bits >> 2 & 0x3fffff), bits >> 24};
  }
};

// One send, written by the sender; the receiver moves it from posted to taken or refused. Other fields than the header
// belong to the receiver while it is posted to it, else to the sender.
struct alignas(64) Message {
  std::atomic<std::uint64_t> header{0};
  std::int32_t tag = 0;
  DType dtype = DType::f32;
  DType wanted_dtype = DType::f32;  // by the receiver that refused
  std::int64_t count = 0;
  std::int64_t wanted_count = 0;
  std::uint64_t data = 0;  // offset in the sender's segment

  MessageHeader look() const { return MessageHeader::unpack(header.load()); }
  void move_to(MessageState state) {
    MessageHeader moved = look();
    moved.state = state;
    header.store(moved.packed());
  }
};

using Reason = FixedText<446>;
enum class Condition : std::uint32_t { running, failing, failed, left };

struct alignas(64) Control {
  alignas(64) std::atomic<std::uint64_t> finished{0};      // collectives of which this rank has done its share
  alignas(64) std::atomic<std::uint64_t> rounds_ready{0};  // exchange rounds that this rank has filled, and
  std::atomic<std::uint64_t> rounds_shared{0};             // of which it has done its share
  std::atomic<std::uint64_t> exchange{kNowhere};           // offset of its exchange buffers
  alignas(64) std::atomic<std::uint32_t> doorbell{0};      // rung by peers
  std::atomic<std::uint32_t> parked{0};
  alignas(64) std::atomic<Condition> condition{Condition::running};
  std::atomic<std::int32_t> culprit{-1};    // a rank, when failed
  std::atomic<std::uint64_t> failed_at{0};  // collectives that this rank had completed when it failed
  std::atomic<std::uint32_t> joined{0};     // this rank has mapped all segments
  Reason reason;
  Slot slots[kWindow];
  Message messages[kMessages];
  alignas(64) std::byte mailboxes[kMailboxes][kMailboxBytes];
};

}  // namespace trireme::comm::shm
