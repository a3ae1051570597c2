#include "trireme/comm/message/message_communicator.h"

#include <algorithm>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/message/states.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/split_plan.h"

namespace trireme::comm::message {

MessageCommunicator::MessageCommunicator(std::unique_ptr<Link> link, std::chrono::milliseconds timeout)
    : Communicator(link->rank(), link->size()),
      link_(std::move(link)),
      peers_(static_cast<std::size_t>(size())),
      ring_(64),
      openings_(*link_, [this] { look(); }),
      transfers_(*link_, [this] { look(); }),
      payloads_(static_cast<std::size_t>(size())) {
  set_default_timeout(timeout);
  for (std::uint64_t sequence = 0; sequence < kWindow; ++sequence) {
    openings_.expect(sequence);
  }
  link_->open(*this);
  introduce();
}

MessageCommunicator::~MessageCommunicator() {
  {
    Lock lock(mutex_);
    closing_ = true;
    wanted_.notify_all();
  }
  link_->interrupt();
  for (std::thread* thread : {&worker_, &fetcher_}) {
    if (thread->joinable()) {
      thread->join();
    }
  }
  {
    Lock lock(mutex_);
    leave(lock);
  }
  link_->close();
}

std::shared_ptr<WorkState> MessageCommunicator::start(Operation&& operation) {
  Lock lock(mutex_);
  settle();
  if (failure_) {
    recorder().failed(operation.record, operation.start);
    raise(operation);
  }
  bytes_moved_ += traffic_of(operation, rank(), size());
  return is_message(operation.kind) ? start_message(std::move(operation))
                                    : start_collective(std::move(operation), lock);
}

std::shared_ptr<Communicator> MessageCommunicator::split(int colour, int key) {
  const std::vector<int> members = members_of_split(*this, colour, key);
  const std::uint64_t generation = splits_++;
  if (members.empty()) {
    return nullptr;
  }
  auto link = link_->split(members, generation, std::chrono::steady_clock::now() + default_timeout());
  return std::make_shared<MessageCommunicator>(std::move(link), default_timeout());
}

}  // namespace trireme::comm::message
