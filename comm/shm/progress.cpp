// How collectives move on: published, shared (this rank has done its part of the work) and completed, each in order.
#include <algorithm>
#include <cstring>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/shm/futex.h"
#include "trireme/comm/shm/shm_operation.h"

namespace trireme::comm::shm {
ShmOperation::ShmOperation(ShmCommunicator* owner_, Operation&& operation_)
    : owner(owner_),
      operation(std::move(operation_)),
      signature(signature_of(operation)),
      cut(whole_cut(operation, owner->size())),
      small(fits(operation, owner->size(), kMailboxBytes)),
      way(fits(operation, owner->size(), kTinyBytes) ? Way::mailbox : Way::undecided) {}

bool ShmCommunicator::all_have(std::atomic<std::uint64_t> Control::*counter, std::uint64_t value) const {
  return std::all_of(controls_.begin(), controls_.end(),
                     [&](const Control* peer) { return (peer->*counter).load() >= value; });
}

bool ShmCommunicator::advance() {
  bool changed = false;
  if (!messages_.empty() && !failure_) {
    changed = advance_messages();
  }
  bool moved = true;
  while (moved && completed_ < started_ && !failure_) {
    moved = publish_next();
    moved = share_next() || moved;
    moved = complete_next() || moved;
    changed = changed || moved;
  }
  return changed;
}

// The slot, and for small operations the mailbox, must no longer be read by anyone.
bool ShmCommunicator::may_publish(const ShmOperation& operation) {
  const std::uint64_t reuse = operation.small ? kMailboxes : kWindow;
  if (published_ < finished_by_all_ + reuse) {  // known without touching the peers' lines
    return true;
  }
  finished_by_all_ = shared_;
  for (const Control* peer : controls_) {
    finished_by_all_ = std::min(finished_by_all_, peer->finished.load());
  }
  return published_ < finished_by_all_ + reuse;
}

bool ShmCommunicator::publish_next() {
  if (published_ == started_) {
    return false;
  }
  ShmOperation& operation = *ring_[published_ % ring_.size()];
  if (!may_publish(operation)) {
    return false;
  }
  publish(operation);
  ++published_;
  return true;
}

void ShmCommunicator::publish(ShmOperation& state) {
  const Operation& op = state.operation;
  Slot& slot = own().slots[published_ % kWindow];
  slot.signature = state.signature;
  slot.name = op.name;
  slot.part_count = 0;
  slot.reach = Reach::none;
  if (state.way != Way::mailbox) {
    const bool pulls = op.kind == OpKind::broadcast && op.peer != rank();
    slot.input = offset_of(op.input);
    slot.output = offset_of(op.output);
    bool direct = pulls || slot.input != kNowhere;
    if (!op.parts.empty() || op.kind == OpKind::all_reduce_parts || op.kind == OpKind::reduce_scatter_parts) {
      direct = op.parts.size() <= kMaxParts;
      for (std::size_t i = 0; i < op.parts.size() && direct; ++i) {
        slot.parts[i] = offset_of(op.parts[i].array);
        direct = slot.parts[i] != kNowhere;
      }
      slot.part_count = static_cast<std::uint32_t>(op.parts.size());
    }
    if (op.kind == OpKind::all_reduce_parts) {
      direct = direct && slot.output != kNowhere;
    }
    slot.reach = direct ? Reach::array : Reach::none;
  }
  if (slot.reach == Reach::none && state.small) {
    state.transfer().fill(state.cut, 0, own().mailboxes[published_ % kMailboxes]);
    slot.reach = Reach::mailbox;
  }
  slot.published.store(published_ + 1);
  ring_parked();
}

bool ShmCommunicator::all_arrived(ShmOperation& state) {
  const std::uint64_t expected = shared_ + 1;
  while (state.next_peer < size()) {
    if (control(state.next_peer).slots[shared_ % kWindow].published.load() != expected) {
      return false;
    }
    ++state.next_peer;
  }
  return true;
}

// Every rank compares all signatures with rank 0's before it touches any data, so all ranks find the same disagreement.
void ShmCommunicator::check_signatures() {
  const Slot& first = control(0).slots[shared_ % kWindow];
  for (int peer = 1; peer < size(); ++peer) {
    const Slot& other = control(peer).slots[shared_ % kWindow];
    if (!(other.signature == first.signature)) {
      fail(disagreement(0, describe(first.signature, shared_, first.name.view()), peer,
                        describe(other.signature, shared_, other.name.view())),
           {0, peer});
      return;
    }
  }
}

// A rank that comes late must not write into the arrays of peers that have given the operation up.
void ShmCommunicator::check_peers_running() {
  for (int peer = 0; peer < size() && !failure_; ++peer) {
    if (has_failed_before(peer, shared_)) {
      adopt_failure(peer);
    }
  }
}

bool ShmCommunicator::share_next() {
  if (shared_ == published_ || failure_) {
    return false;
  }
  ShmOperation& state = *ring_[shared_ % ring_.size()];
  if (state.next_peer < size()) {
    if (!all_arrived(state)) {
      return false;
    }
    check_signatures();
    check_peers_running();
    if (failure_) {
      return false;
    }
  }
  if (!share(state)) {
    return false;
  }
  own().finished.store(++shared_, std::memory_order_release);
  if (state.way != Way::mailbox) {
    ring_parked();  // after a mailbox nobody waits, but for the rare one whose mailboxes are all in use: its sleep is
                    // short
  }
  return true;
}

void ShmCommunicator::find_places(const ShmOperation& state, bool mailbox) {
  places_.buffers.clear();
  for (int peer = 0; peer < size(); ++peer) {
    places_.buffers.push_back(mailbox ? control(peer).mailboxes[shared_ % kMailboxes]
                                      : segment_of(peer) + control(peer).exchange.load() +
                                            (rounds_ + static_cast<std::uint64_t>(state.shared)) % kExchangeBuffers *
                                                kExchangeBytes);
  }
}

void ShmCommunicator::find_direct_places(const ShmOperation& state) {
  const bool has_parts =
      state.operation.kind == OpKind::all_reduce_parts || state.operation.kind == OpKind::reduce_scatter_parts;
  places_.sources.clear();
  places_.outputs.clear();
  for (int peer = 0; peer < size(); ++peer) {
    const Slot& slot = control(peer).slots[shared_ % kWindow];
    std::byte* base = segment_of(peer);
    for (std::uint32_t part = 0; part < slot.part_count; ++part) {
      places_.sources.push_back(base + slot.parts[part]);
    }
    if (!has_parts) {
      places_.sources.push_back(base + slot.input);
    }
    places_.outputs.push_back(base + slot.output);
  }
}

// Where all data can be reached in the same manner, there; else every rank puts its data in an exchange buffer.
Way ShmCommunicator::way_of(bool small) const {
  bool arrays = true;
  bool mailboxes = small;
  for (int peer = 0; peer < size(); ++peer) {
    const Reach reach = control(peer).slots[shared_ % kWindow].reach;
    arrays = arrays && reach == Reach::array;
    mailboxes = mailboxes && reach == Reach::mailbox;
  }
  return arrays ? Way::direct : mailboxes ? Way::mailbox : Way::staged;
}

bool ShmCommunicator::share(ShmOperation& state) {
  if (state.way == Way::undecided) {
    state.way = way_of(state.small);
    if (state.way == Way::staged) {
      reserve_exchange();
      state.cut = cut_for(state.operation, size(), kExchangeBytes);
      state.pushes = state.transfer().reduces_to_all() && size() > 1;
    }
  }
  switch (state.way) {
    case Way::mailbox:
      find_places(state, true);
      state.transfer().pull(state.cut, 0, places_);
      return true;
    case Way::direct:
      find_direct_places(state);
      state.transfer().direct(places_);
      return true;
    default:
      return share_rounds(state);
  }
}

void ShmCommunicator::reserve_exchange() {
  if (own().exchange.load() == kNowhere) {
    own().exchange.store(segment_->allocate(kExchangeBuffers * kExchangeBytes));
  }
}

// Round i is filled when buffer i modulo kExchangeBuffers is free again, shared when all have filled it, and drained
// when all have shared it. Rounds are numbered through all operations, so the counters only grow.
bool ShmCommunicator::share_rounds(ShmOperation& state) {
  const Transfer transfer = state.transfer();
  std::byte* const exchange = segment_->base() + own().exchange.load();
  const auto buffer = [&](std::int64_t round) {
    return exchange + (rounds_ + static_cast<std::uint64_t>(round)) % kExchangeBuffers * kExchangeBytes;
  };
  const auto number = [&](std::int64_t round) { return rounds_ + static_cast<std::uint64_t>(round); };
  bool changed = true;
  while (changed) {
    changed = false;
    const std::uint64_t next = number(state.filled);
    if (state.filled < state.cut.rounds && state.filled < state.drained + static_cast<std::int64_t>(kExchangeBuffers) &&
        (next < kExchangeBuffers || all_have(&Control::rounds_shared, next - kExchangeBuffers + 1))) {
      transfer.fill(state.cut, state.filled, buffer(state.filled));
      ++state.filled;
      own().rounds_ready.store(next + 1);
      ring_parked();
      changed = true;
    }
    if (state.shared < state.filled && all_have(&Control::rounds_ready, number(state.shared) + 1)) {
      find_places(state, false);
      if (state.pushes) {
        transfer.push(state.cut, state.shared, places_);
      } else {
        transfer.pull(state.cut, state.shared, places_);
      }
      own().rounds_shared.store(number(state.shared) + 1);
      ++state.shared;
      ring_parked();
      changed = true;
    }
    if (!state.pushes) {
      state.drained = state.shared;
    } else if (state.drained < state.shared && all_have(&Control::rounds_shared, number(state.drained) + 1)) {
      transfer.drain(state.cut, state.drained, buffer(state.drained));
      ++state.drained;
      changed = true;
    }
  }
  if (state.drained < state.cut.rounds) {
    return false;
  }
  rounds_ += static_cast<std::uint64_t>(state.cut.rounds);
  return true;
}

bool ShmCommunicator::complete_next() {
  if (completed_ == shared_) {
    return false;
  }
  ShmOperation& state = *ring_[completed_ % ring_.size()];
  const bool only_reads = state.operation.kind == OpKind::broadcast && state.operation.peer != rank();
  if (state.way == Way::direct && !only_reads && !all_have(&Control::finished, completed_ + 1)) {
    return false;
  }
  state.done = true;
  last_completion_ = std::chrono::steady_clock::now();
  recorder().completed(state.operation.record, last_completion_);
  ring_[completed_ % ring_.size()].reset();
  given_up_from_.store(++completed_, std::memory_order_relaxed);
  own_soon(&own().slots[published_ % kWindow]);
  return true;
}

}  // namespace trireme::comm::shm
