// What MessageCommunicator keeps for one collective and for one message.
#pragma once

#include "trireme/comm/message/message_communicator.h"
#include "trireme/comm/message/small.h"

namespace trireme::comm::message {

class Collective final : public WorkState {
 public:
  Collective(MessageCommunicator* owner, Operation&& op)
      : owner(owner),
        operation(std::move(op)),
        signature(signature_of(operation)),
        by_engine(operation.kind == OpKind::all_reduce && operation.order == ReduceOrder::fast &&
                  operation.output.bytes() >= owner->link_->fast_from()),
        small(!by_engine && is_small(operation, owner->size())) {}

  bool poll() override { return owner->poll(*this); }
  void wait() override { owner->wait(*this); }
  Link::Deadline deadline() const { return operation.start + operation.timeout; }

  MessageCommunicator* const owner;
  Operation operation;
  const Signature signature;
  const bool by_engine;  // if the engine can
  const bool small;      // done with its opening
  std::atomic<bool> done{false};
  std::chrono::steady_clock::time_point end{};
};

// A send or a receive.
class Post final : public WorkState {
 public:
  Post(MessageCommunicator* owner, Operation&& op) : owner(owner), operation(std::move(op)) {}

  bool poll() override { return owner->poll(*this); }
  void wait() override { owner->wait(*this); }
  bool sends() const { return operation.kind == OpKind::send; }

  MessageCommunicator* const owner;
  Operation operation;
  bool matched = false;     // a receive: its message is known; a send: it has been received
  std::int64_t number = 0;  // by which its sender knows the message
  std::vector<Link::Ticket> transfers;
  std::atomic<bool> done{false};
  std::chrono::steady_clock::time_point end{};
};

}  // namespace trireme::comm::message
