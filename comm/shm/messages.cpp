// Send and receive: entries in the sender's control block, taken by the receiver.
#include <algorithm>
#include <cstring>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/shm/shm_operation.h"

namespace trireme::comm::shm {

// An earlier receive of the same messages that found none: a message that came since is not for a later one.
bool ShmCommunicator::must_queue(std::size_t index) const {
  const Operation& op = messages_[index]->operation;
  return std::any_of(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(index),
                     [&](const auto& earlier) {
                       return !earlier->done && op.kind == OpKind::recv && earlier->operation.kind == OpKind::recv &&
                              earlier->operation.peer == op.peer && earlier->operation.tag == op.tag;
                     });
}

bool ShmCommunicator::advance_messages() {
  bool changed = false;
  for (std::size_t i = 0; i < messages_.size() && !failure_; ++i) {  // in the order of their start
    changed |= !must_queue(i) && messages_[i]->advance();
  }
  std::erase_if(messages_, [](const std::shared_ptr<ShmMessage>& message) { return message->done; });
  return changed;
}

bool ShmMessage::advance() { return operation.kind == OpKind::send ? advance_send() : advance_recv(); }

void ShmMessage::finish() {
  done = true;
  owner->last_completion_ = std::chrono::steady_clock::now();
  owner->recorder().completed(operation.record, owner->last_completion_);
  owner->ring(operation.peer);
}

bool ShmMessage::post() {
  Message* const end = owner->own().messages + kMessages;
  Message* const free =
      std::find_if(owner->own().messages, end, [](const Message& m) { return m.look().state == MessageState::free; });
  if (free == end) {
    return false;
  }
  const Array& array = operation.input;
  std::uint64_t data = owner->offset_of(array);
  if (data == kNowhere) {  // peers cannot reach it: they read a copy
    staged = owner->segment_->allocate(array.bytes());
    std::memcpy(owner->segment_->base() + staged, array.bytes_data(), array.bytes());
    data = staged;
  }
  entry = free;
  entry->tag = operation.tag;
  entry->dtype = array.dtype();
  entry->count = array.count();
  entry->data = data;
  entry->header.store(MessageHeader{MessageState::posted, operation.peer, owner->message_order_++}.packed());
  owner->ring(operation.peer);
  return true;
}

bool ShmMessage::advance_send() {
  if (entry == nullptr) {
    return post();
  }
  const MessageState state = entry->look().state;
  if (state == MessageState::posted) {
    return false;
  }
  if (state == MessageState::refused) {
    owner->fail(fmt::format("the ranks disagree: rank {} sends {} x {}, rank {} receives {} x {}", owner->rank(),
                            name_of(operation.input.dtype()), operation.input.count(), operation.peer,
                            name_of(entry->wanted_dtype), entry->wanted_count),
                {owner->rank(), operation.peer});
    return true;
  }
  entry->move_to(MessageState::free);
  if (staged != kNowhere) {
    owner->segment_->free(staged);
  }
  finish();
  return true;
}

Message* ShmMessage::oldest_posted() const {
  Message* oldest = nullptr;
  std::uint64_t least = 0;
  for (Message& message : owner->control(operation.peer).messages) {
    const MessageHeader header = message.look();
    if (header.state == MessageState::posted && header.destination == owner->rank() && message.tag == operation.tag &&
        (oldest == nullptr || header.order < least)) {
      oldest = &message;
      least = header.order;
    }
  }
  return oldest;
}

// While the entries are looked through, an older message may be posted to one already passed, and a newer one be found.
// All that is older than a message found is visible by then, so a second look finds the oldest.
Message* ShmMessage::find_posted() const { return oldest_posted() == nullptr ? nullptr : oldest_posted(); }

bool ShmMessage::advance_recv() {
  Message* const message = find_posted();
  if (message == nullptr) {
    return false;
  }
  const Array& output = operation.output;
  if (message->count != output.count() || message->dtype != output.dtype()) {
    const std::string cause =
        fmt::format("the ranks disagree: rank {} sends {} x {}, rank {} receives {} x {}", operation.peer,
                    name_of(message->dtype), message->count, owner->rank(), name_of(output.dtype()), output.count());
    message->wanted_count = output.count();
    message->wanted_dtype = output.dtype();
    message->move_to(MessageState::refused);
    owner->ring(operation.peer);
    owner->fail(cause, {operation.peer, owner->rank()});
    return true;
  }
  if (output.count() > 0) {
    std::memcpy(output.bytes_data(), owner->segment_of(operation.peer) + message->data, output.bytes());
  }
  message->move_to(MessageState::taken);
  finish();
  return true;
}

}  // namespace trireme::comm::shm
