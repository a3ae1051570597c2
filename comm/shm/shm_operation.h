// What ShmCommunicator keeps for one collective and for one message.
#pragma once

#include "trireme/comm/shm/shm_communicator.h"
#include "trireme/comm/signature.h"

namespace trireme::comm::shm {

class ShmOperation final : public WorkState {
 public:
  ShmOperation(ShmCommunicator* owner, Operation&& operation);

  bool poll() override;
  void wait() override;

  Transfer transfer() const { return {operation, owner->rank(), owner->size()}; }

  ShmCommunicator* owner;
  Operation operation;
  Signature signature;
  Cut cut;                   // whole, or once `way` is staged into exchange buffers
  bool small;                // fits in a mailbox
  Way way = Way::undecided;  // all ranks come to the same one
  bool pushes = false;       // staged all_reduce: reduce slices, then copy out
  bool done = false;
  int next_peer = 0;        // peers before it have arrived
  std::int64_t filled = 0;  // rounds of a staged operation
  std::int64_t shared = 0;
  std::int64_t drained = 0;
};

// A send or a receive.
class ShmMessage final : public WorkState {
 public:
  ShmMessage(ShmCommunicator* owner, Operation&& operation) : owner(owner), operation(std::move(operation)) {}

  bool poll() override;
  void wait() override;
  bool advance();  // true if something changed

  ShmCommunicator* owner;
  Operation operation;
  Message* entry = nullptr;  // of a posted send
  std::uint64_t staged = kNowhere;
  bool done = false;

 private:
  bool advance_send();
  bool advance_recv();
  bool post();
  Message* oldest_posted() const;
  Message* find_posted() const;
  void finish();
};

}  // namespace trireme::comm::shm
