// How collectives move on: opened in order as soon as there is room, carried out in order by one thread at a time.
#include <algorithm>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/message/states.h"
#include "trireme/comm/operation_text.h"

namespace trireme::comm::message {
namespace {

// Ends the waiting of the thread that carries out an operation: the failure is known already.
struct Stopped {};

}  // namespace

std::shared_ptr<WorkState> MessageCommunicator::start_collective(Operation&& operation, Lock&) {
  auto state = std::allocate_shared<Collective>(PoolAllocator<Collective>(), this, std::move(operation));
  if (started_ - settled_ == ring_.size()) {
    std::vector<std::shared_ptr<Collective>> larger(2 * ring_.size());
    for (std::uint64_t sequence = settled_; sequence < started_; ++sequence) {
      larger[sequence % larger.size()] = std::move(ring_[sequence % ring_.size()]);
    }
    ring_ = std::move(larger);
  }
  ring_[started_++ % ring_.size()] = state;
  for (int peer = 0; peer < size() && !failure_; ++peer) {
    const auto left = peers_[static_cast<std::size_t>(peer)].left;
    if (left && *left < started_) {
      fail(fmt::format("rank {} has left the communicator before it started {}", peer, describe(state->operation)),
           {peer}, true);
    }
  }
  if (!failure_) {
    open_next();
  }
  // A small one is done with its opening as far as the peers are concerned; any other needs somebody to carry it out.
  if (!state->small || opened_ < started_) {
    want_worker();
  }
  return state;
}

void MessageCommunicator::open_next() {
  while (opened_ < started_ && opened_ < completed_ + kWindow) {
    try {
      open(in_flight(opened_));
    } catch (const LinkError& error) {
      lose(error.peer(), error.what());
      return;
    }
    ++opened_;
  }
}

void MessageCommunicator::open(Collective& state) {
  const Operation& operation = state.operation;
  const std::size_t bytes =
      state.small ? fill_payload(operation, rank(), openings_.payload_to_send(operation.sequence)) : 0;
  openings_.send(operation.sequence, state.signature, operation.name, bytes);
}

// REQUIRES: nobody drives.
void MessageCommunicator::drive(Lock& lock, std::uint64_t until) {
  driving_ = true;
  while (completed_ <= until && completed_ < opened_ && !failure_ && !closing_) {
    Collective& state = in_flight(completed_);
    met_ = false;
    lock.unlock();
    const bool done = execute(state);
    lock.lock();
    if (done) {
      complete(state);
    }
  }
  driving_ = false;
  worker_wanted_ = worker_wanted_ && completed_ < started_;
  if (worker_wanted_) {
    wanted_.notify_all();
  }
  changed_.notify_all();
}

bool MessageCommunicator::execute(Collective& state) {
  std::string why;
  int peer = -1;
  try {
    run(state);
    return true;
  } catch (const Stopped&) {
    return false;
  } catch (const LinkError& error) {
    peer = error.peer();
    why = error.what();
  } catch (const std::exception& error) {
    why = error.what();
  }
  const Lock lock(mutex_);
  if (peer >= 0) {
    lose(peer, why);
  } else {
    fail(fmt::format("rank {} failed: {}", rank(), why), {rank()}, true);
  }
  return false;
}

void MessageCommunicator::run(Collective& state) {
  const Operation& op = state.operation;
  for (int i = 1; i < size(); ++i) {
    openings_.wait_for(op.sequence, (rank() + i) % size());
  }
  met_ = true;
  check_signatures(state);
  if (!state.small) {
    openings_.expect(op.sequence + kWindow);
  }
  if (state.small) {
    finish(state);
    openings_.expect(op.sequence + kWindow);
  } else if (state.by_engine &&
             link_->all_reduce(op.output.bytes_data(), op.output.count(), op.output.dtype(), op.op, state.deadline())) {
    // the engine has done it
  } else if (op.kind == OpKind::all_gather) {
    all_gather_large(op, rank(), size(), transfers_, workspace_);
  } else if (op.kind == OpKind::all_to_all) {
    all_to_all_large(op, rank(), size(), transfers_, workspace_);
  } else if (op.kind == OpKind::broadcast) {
    broadcast_large(op, rank(), size(), transfers_, workspace_);
  } else {
    reduce_large(op, rank(), size(), transfers_, workspace_);
  }
  for (int i = 1; i < size(); ++i) {
    openings_.wait_until_sent(op.sequence, (rank() + i) % size());
  }
}

void MessageCommunicator::finish(Collective& state) {
  for (int peer = 0; peer < size(); ++peer) {
    payloads_[static_cast<std::size_t>(peer)] =
        peer == rank() ? nullptr : openings_.payload(state.operation.sequence, peer);
  }
  finish_small(state.operation, rank(), payloads_, workspace_.sources);
}

// Every rank compares all signatures with rank 0's, so all find the same disagreement.
void MessageCommunicator::check_signatures(const Collective& state) {
  const Operation& op = state.operation;
  const auto signature = [&](int peer) -> const Signature& {
    return peer == rank() ? state.signature : openings_.head(op.sequence, peer).signature;
  };
  for (int peer = 1; peer < size(); ++peer) {
    if (!(signature(peer) == signature(0))) {
      const auto text = [&](int r) {
        const OpName& name = r == rank() ? op.name : openings_.head(op.sequence, r).name;
        return describe(signature(r), op.sequence, name.view());
      };
      const Lock lock(mutex_);
      fail(disagreement(0, text(0), peer, text(peer)), {0, peer}, true);
      throw Stopped{};
    }
  }
}

void MessageCommunicator::complete(Collective& state) {
  state.end = std::chrono::steady_clock::now();
  ++completed_;
  state.done.store(true, std::memory_order_release);
  changed_.notify_all();
  if (deferred_ && completed_ >= deferred_->completed) {
    fail(std::move(deferred_->failure.cause), std::move(deferred_->failure.ranks), deferred_->tell);
    return;
  }
  open_next();
}

// Called by the thread that drives, now and then while it waits. Raises what ends the waiting.
void MessageCommunicator::look() {
  Lock lock(mutex_);
  if (failure_ || closing_) {
    throw Stopped{};
  }
  Collective& state = in_flight(completed_);
  const TimePoint now = std::chrono::steady_clock::now();
  const bool overdue = overdue_ || now >= state.deadline();
  const bool stalled = !overdue && stall_is_due(state.operation, now);
  std::vector<int> lost;
  for (int peer = 0; peer < size(); ++peer) {
    if (peers_[static_cast<std::size_t>(peer)].lost) {
      lost.push_back(peer);
    }
  }
  lock.unlock();  // the tests below take their time
  for (const int peer : lost) {
    if (!met_) {
      openings_.check(state.operation.sequence, peer);
    }
    transfers_.check(peer);
  }
  if (overdue || stalled) {
    const std::vector<int> missing = met_ ? transfers_.missing() : openings_.missing(state.operation.sequence);
    if (stalled) {
      warn_of_stall(state.operation, missing);
      return;
    }
    const std::string why = explain_stall(state.operation, missing);
    lock.lock();
    fail_overdue(state.operation, missing, why);
    throw Stopped{};
  }
}

// The flight recorder belongs to the caller's thread, as do the arrays.
void MessageCommunicator::settle() {
  for (; settled_ < completed_; ++settled_) {
    std::shared_ptr<Collective>& state = ring_[settled_ % ring_.size()];
    recorder().completed(state->operation.record, state->end);
    state.reset();
  }
  if (failure_) {
    for (std::uint64_t sequence = completed_; sequence < started_; ++sequence) {
      recorder().failed(in_flight(sequence).operation.record, std::chrono::steady_clock::now());
    }
  }
  settle_posts();
}

void MessageCommunicator::wait(Collective& state) {
  const PhaseScope waiting(Phase::waiting);
  const TimePoint begin = std::chrono::steady_clock::now();
  Lock lock(mutex_);
  TimePoint until = state.deadline();
  if (!state.small) {
    expect_waits(begin - state.operation.start);
  }
  while (!state.done.load(std::memory_order_acquire) && !failure_) {
    if (!driving_) {
      drive(lock, state.operation.sequence);
    } else if (changed_.wait_until(lock, until) == std::cv_status::timeout) {
      overdue_ = true;  // the thread that drives will see, and knows who is missing
      until += kBetweenLooks;
    }
  }
  settle();
  if (!state.done) {
    raise(state.operation);
  }
  overdue_ = false;
  add_waiting(std::max(state.end, begin) - begin);
}

bool MessageCommunicator::poll(Collective& state) {
  if (!state.done.load(std::memory_order_acquire)) {
    const Lock lock(mutex_);
    if (failure_ && !state.done) {
      settle();
      raise(state.operation);
    }
    if (!driving_) {
      wake_worker();
    }
  }
  return state.done;
}

}  // namespace trireme::comm::message
