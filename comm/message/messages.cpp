// Sends and receives. A message is announced by letter, with its bytes if they are few; the receiver matches it by
// source and tag, fetches what did not fit, and answers by letter.
#include <algorithm>
#include <cstring>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/message/states.h"
#include "trireme/comm/operation_text.h"

namespace trireme::comm::message {
namespace {

constexpr std::uint32_t kFirstTag = 16;  // those below belong to collectives

std::uint32_t tag_of(std::int64_t number) {
  return kFirstTag + static_cast<std::uint32_t>(static_cast<std::uint64_t>(number) % (Link::kTags - kFirstTag));
}

// Calls f(begin, bytes) for pieces that a transfer may have.
template <class F>
void for_pieces(const Array& array, F f) {
  for (std::size_t at = 0; at < array.bytes(); at += Link::kMaxTransferBytes) {
    f(array.bytes_data() + at, std::min(Link::kMaxTransferBytes, array.bytes() - at));
  }
}

std::span<const std::byte> bytes_of(const Array& array) {
  return array.count() == 0 ? std::span<const std::byte>()
                            : std::span<const std::byte>(array.bytes_data(), array.bytes());
}

}  // namespace

std::shared_ptr<WorkState> MessageCommunicator::start_message(Operation&& operation) {
  const auto state = std::allocate_shared<Post>(PoolAllocator<Post>(), this, std::move(operation));
  const int peer = state->operation.peer;
  posts_.push_back(state);
  if (deferred_) {
    fail(std::move(deferred_->failure.cause), std::move(deferred_->failure.ranks), deferred_->tell);
    return state;
  }
  try {
    state->sends() ? send(state) : receive(state);
  } catch (const LinkError& error) {
    lose(error.peer(), error.what());
  }
  const Peer& there = peers_[static_cast<std::size_t>(peer)];
  if (is_awaited(*state, peer) && (there.left || there.lost)) {
    lose(peer, there.lost.value_or(""));
  }
  return state;
}

void MessageCommunicator::send(const std::shared_ptr<Post>& state) {
  const Operation& op = state->operation;
  const bool fits = op.input.bytes() <= kMaxLetterBody;
  state->number = static_cast<std::int64_t>(op.sequence);
  const LetterHead head{.kind = LetterKind::message,
                        .dtype = op.input.dtype(),
                        .tag = op.tag,
                        .number = state->number,
                        .count = op.input.count()};
  post(op.peer, Letter(head, op.name.view(), fits ? bytes_of(op.input) : std::span<const std::byte>()));
  for_pieces(op.input, [&](const std::byte* data, std::size_t bytes) {
    if (!fits) {
      state->transfers.push_back(link_->send(op.peer, tag_of(state->number), {data, bytes}));
    }
  });
}

void MessageCommunicator::receive(const std::shared_ptr<Post>& state) {
  const Operation& op = state->operation;
  const auto match = std::find_if(arrived_.begin(), arrived_.end(), [&](const Arrived& message) {
    return message.peer == op.peer && message.head.tag == op.tag;
  });
  if (match != arrived_.end()) {
    const Arrived message = std::move(*match);
    arrived_.erase(match);
    accept(state, message.peer, {message.head, message.name.view(), message.body});
  }
}

void MessageCommunicator::on_message(int peer, const LetterView& letter) {
  const auto match = std::find_if(posts_.begin(), posts_.end(), [&](const std::shared_ptr<Post>& state) {
    return !state->sends() && !state->matched && state->operation.peer == peer &&
           state->operation.tag == letter.head.tag;
  });
  if (match == posts_.end()) {
    arrived_.push_back({peer, letter.head, OpName(letter.text), {letter.body.begin(), letter.body.end()}});
    return;
  }
  try {
    accept(*match, peer, letter);
  } catch (const LinkError& error) {
    lose(error.peer(), error.what());
  }
}

void MessageCommunicator::accept(const std::shared_ptr<Post>& state, int peer, const LetterView& letter) {
  const Operation& op = state->operation;
  state->matched = true;
  state->number = letter.head.number;
  if (letter.head.count != op.output.count() || letter.head.dtype != op.output.dtype()) {
    Signature theirs;
    theirs.kind = OpKind::send;
    theirs.dtype = letter.head.dtype;
    theirs.count = letter.head.count;
    fail(disagreement(peer, describe(theirs, static_cast<std::uint64_t>(letter.head.number), letter.text), rank(),
                      describe(signature_of(op), op.sequence, op.name.view())),
         {peer, rank()}, true);
    return;
  }
  if (op.output.bytes() <= kMaxLetterBody) {
    if (letter.body.size() == op.output.bytes() && op.output.count() > 0) {
      std::memcpy(op.output.bytes_data(), letter.body.data(), letter.body.size());
    }
    finish(*state);
    return;
  }
  for_pieces(op.output, [&](std::byte* data, std::size_t bytes) {
    state->transfers.push_back(link_->receive(peer, tag_of(state->number), {data, bytes}));
  });
  hand_over(state);
}

void MessageCommunicator::on_received(int peer, std::int64_t number) {
  const auto match = std::find_if(posts_.begin(), posts_.end(), [&](const std::shared_ptr<Post>& state) {
    return state->sends() && !state->done && state->operation.peer == peer && state->number == number;
  });
  if (match == posts_.end()) {
    return;
  }
  (*match)->matched = true;
  if ((*match)->transfers.empty()) {
    finish(**match);
  } else {
    hand_over(*match);
  }
}

// A send is done when its receiver has said so: then both sides know that they agreed.
void MessageCommunicator::finish(Post& state) {
  if (!state.sends()) {
    post(state.operation.peer, Letter({.kind = LetterKind::received, .number = state.number}, {}));
  }
  state.end = std::chrono::steady_clock::now();
  state.done.store(true, std::memory_order_release);
  changed_.notify_all();
}

// To the thread that waits for transfers which are sure to end, one after the other.
void MessageCommunicator::hand_over(const std::shared_ptr<Post>& state) {
  fetches_.push_back(state);
  if (!fetcher_.joinable() && !closing_) {
    fetcher_ = std::thread([this] { fetch(); });
  }
  wanted_.notify_all();
}

void MessageCommunicator::fetch() {
  Lock lock(mutex_);
  while (!closing_) {
    if (fetches_.empty() || failure_) {
      wanted_.wait(lock);
      continue;
    }
    const std::shared_ptr<Post> state = fetches_.front();
    fetches_.erase(fetches_.begin());
    lock.unlock();
    const std::optional<LinkError> error = wait_for_transfers(*state);
    lock.lock();
    if (error) {
      lose(error->peer(), error->what());
    }
    if (failure_ || closing_) {
      continue;
    }
    finish(*state);
  }
}

std::optional<LinkError> MessageCommunicator::wait_for_transfers(Post& state) {
  try {
    for (const Link::Ticket ticket : state.transfers) {
      while (!link_->wait(ticket, std::chrono::steady_clock::now() + kBetweenLooks)) {
        const Lock lock(mutex_);
        if (failure_ || closing_) {
          return std::nullopt;
        }
      }
    }
    return std::nullopt;
  } catch (const LinkError& error) {
    return error;
  }
}

// Whether this peer has still something to do for it.
bool MessageCommunicator::is_awaited(const Post& state, int peer) const {
  return !state.done && state.operation.peer == peer && !state.matched;
}

void MessageCommunicator::settle_posts() {
  for (const std::shared_ptr<Post>& state : posts_) {
    if (state->done) {
      recorder().completed(state->operation.record, state->end);
    } else if (failure_) {
      recorder().failed(state->operation.record, std::chrono::steady_clock::now());
    }
  }
  std::erase_if(posts_, [](const std::shared_ptr<Post>& state) { return state->done.load(); });
}

// Asking the peer what it does takes a while, without the lock.
void MessageCommunicator::speak_of(Post& state, Lock& lock) {
  const Operation& operation = state.operation;
  const TimePoint now = std::chrono::steady_clock::now();
  if (state.done || failure_) {
    return;
  }
  if (now >= operation.start + operation.timeout) {
    lock.unlock();
    const std::string why = explain_stall(operation, {operation.peer});
    lock.lock();
    if (!state.done) {
      fail_overdue(operation, {operation.peer}, why);
    }
  } else if (stall_is_due(operation, now)) {
    lock.unlock();
    warn_of_stall(operation, {operation.peer});
    lock.lock();
  }
}

void MessageCommunicator::wait(Post& state) {
  const PhaseScope waiting(Phase::waiting);
  const TimePoint begin = std::chrono::steady_clock::now();
  Lock lock(mutex_);
  const Operation& operation = state.operation;
  while (!state.done && !failure_) {
    changed_.wait_until(
        lock, operation.start + std::min<std::chrono::nanoseconds>(operation.timeout,
                                                                   stalls().next(operation.record, operation.timeout)));
    speak_of(state, lock);
  }
  settle();
  if (!state.done) {
    raise(state.operation);
  }
  add_waiting(std::max(state.end, begin) - begin);
}

bool MessageCommunicator::poll(Post& state) {
  if (!state.done.load(std::memory_order_acquire)) {
    Lock lock(mutex_);
    speak_of(state, lock);
    if (failure_ && !state.done) {
      settle();
      raise(state.operation);
    }
  }
  return state.done;
}

}  // namespace trireme::comm::message
