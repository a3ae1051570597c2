// What letters say about peers, and how a communicator breaks: once, for one cause, on all ranks.
#include <algorithm>
#include <cstring>

#include "trireme/comm/message/states.h"
#include "trireme/comm/operation_text.h"

namespace trireme::comm::message {
namespace {

std::vector<int> read_ranks(std::span<const std::byte> body, int peer, int size) {
  std::vector<int> ranks(body.size() / sizeof(int));
  std::copy_n(body.data(), ranks.size() * sizeof(int), reinterpret_cast<std::byte*>(ranks.data()));
  std::erase_if(ranks, [&](int rank) { return rank < 0 || rank >= size; });
  return ranks.empty() ? std::vector<int>{peer} : ranks;
}

}  // namespace

void MessageCommunicator::post(int peer, const Letter& letter) { link_->post(peer, letter.bytes()); }

void MessageCommunicator::on_letter(int peer, std::span<const std::byte> bytes) {
  const std::optional<LetterView> letter = read_letter(bytes);
  if (letter && letter->head.kind == LetterKind::query) {
    answer(peer, *letter);
    return;
  }
  const Lock lock(mutex_);
  if (!letter) {
    fail(fmt::format("rank {} received {} bytes from rank {} that are no letter", rank(), bytes.size(), peer), {peer},
         true);
    return;
  }
  const std::int64_t number = letter->head.number;
  switch (letter->head.kind) {
    case LetterKind::abort:
      return fail_after(static_cast<std::uint64_t>(number),
                        {std::string(letter->text), read_ranks(letter->body, peer, size())}, false);
    case LetterKind::leave:
      return on_left(peer, static_cast<std::uint64_t>(number));
    case LetterKind::farewell:
      peers_[static_cast<std::size_t>(peer)].has_all = true;
      break;
    case LetterKind::message:
      return on_message(peer, *letter);
    case LetterKind::received:
      return on_received(peer, number);
    case LetterKind::introduction:
      peers_[static_cast<std::size_t>(peer)].host = std::string(letter->text);
      peers_[static_cast<std::size_t>(peer)].pid = static_cast<int>(number);
      return;
    case LetterKind::answer:
      on_answer(peer, *letter);
      break;
    case LetterKind::query:
      break;
  }
  changed_.notify_all();
}

// A peer that left has done its part in what it completed; whoever needs more of it fails.
void MessageCommunicator::on_left(int peer, std::uint64_t completed) {
  peers_[static_cast<std::size_t>(peer)].left = completed;
  post(peer, Letter({.kind = LetterKind::farewell}, {}));
  changed_.notify_all();
  if (closing_) {
    return;
  }
  const auto awaited =
      std::find_if(posts_.begin(), posts_.end(), [&](const auto& post) { return is_awaited(*post, peer); });
  if (completed < started_) {
    const Operation& operation = in_flight(std::max(completed, completed_)).operation;
    fail_after(
        completed,
        {fmt::format("rank {} has left the communicator before it completed {}", peer, describe(operation)), {peer}},
        true);
  } else if (awaited != posts_.end()) {
    fail(fmt::format("rank {} has left the communicator; {} was still to come", peer, describe((*awaited)->operation)),
         {peer}, true);
  }
}

// The operation in progress finds out by itself (look()) whether it still needs this peer.
void MessageCommunicator::on_lost(int peer, const std::string& why) {
  const Lock lock(mutex_);
  peers_[static_cast<std::size_t>(peer)].lost = why;
  changed_.notify_all();
  if (std::any_of(posts_.begin(), posts_.end(), [&](const auto& post) { return is_awaited(*post, peer); })) {
    lose(peer, why);
  }
}

void MessageCommunicator::lose(int peer, const std::string& why) {
  if (closing_) {
    return;
  }
  if (peer < 0) {
    fail(fmt::format("rank {} cannot go on: {}", rank(), why), {}, true);
  } else if (peers_[static_cast<std::size_t>(peer)].left) {
    fail(fmt::format("rank {} has left the communicator", peer), {peer}, true);
  } else {
    fail(fmt::format("rank {} is dead or cannot be reached ({})", peer, why), {peer}, true);
  }
}

void MessageCommunicator::fail(std::string cause, std::vector<int> ranks, bool tell) {
  if (failure_) {
    return;
  }
  failure_ = Failure{std::move(cause), std::move(ranks)};
  if (tell) {
    const Letter letter = abort_letter(completed_);
    for (int peer = 0; peer < size(); ++peer) {
      if (peer != rank()) {
        post(peer, letter);
      }
    }
  }
  link_->interrupt();
  changed_.notify_all();
  wanted_.notify_all();
}

// Ranks are not equally far: what the peer has completed, this rank can complete too. Messages have no such order.
void MessageCommunicator::fail_after(std::uint64_t completed, Failure failure, bool tell) {
  const bool waits_for_message =
      std::any_of(posts_.begin(), posts_.end(), [](const auto& post) { return !post->done.load(); });
  if (completed <= completed_ || waits_for_message) {
    fail(std::move(failure.cause), std::move(failure.ranks), tell);
  } else if (!deferred_ || completed < deferred_->completed) {
    deferred_ = Deferred{completed, std::move(failure), tell};
  }
}

Letter MessageCommunicator::abort_letter(std::uint64_t completed) const {
  const std::span<const int> ranks(failure_->ranks);
  return Letter({.kind = LetterKind::abort, .number = static_cast<std::int64_t>(completed)}, failure_->cause,
                std::as_bytes(ranks.first(std::min<std::size_t>(ranks.size(), 64))));
}

void MessageCommunicator::fail_overdue(const Operation& operation, const std::vector<int>& missing,
                                       const std::string& why) {
  fail(fmt::format("the deadline of {} ms passed; {}", operation.timeout.count(), why), missing, true);
}

void MessageCommunicator::raise(const Operation& operation) const {
  throw comm_error(operation, rank(), failure_->ranks, failure_->cause);
}

void MessageCommunicator::abort(std::string_view reason) {
  const Lock lock(mutex_);
  if (failure_) {
    return;
  }
  fail(fmt::format("rank {} aborted the communicator: {}", rank(), reason.substr(0, kMaxLetterText - 100)), {rank()},
       false);
  const Letter letter = abort_letter(completed_);
  for (int peer = 0; peer < size(); ++peer) {
    if (peer != rank()) {
      post(peer, letter);
    }
  }
}

// Until the peers say that they have everything, nothing may be closed under it. Those who are to blame for the end of
// this communicator may never say so.
void MessageCommunicator::leave(Lock& lock) {
  for (int peer = 0; peer < size(); ++peer) {
    if (peer != rank()) {
      if (failure_) {  // the peer may not have heard of it from where it began
        post(peer, abort_letter(completed_));
      }
      post(peer, Letter({.kind = LetterKind::leave, .number = static_cast<std::int64_t>(completed_)}, {}));
    }
  }
  const auto all_have_all = [this](bool without_blamed) {
    for (int peer = 0; peer < size(); ++peer) {
      const Peer& there = peers_[static_cast<std::size_t>(peer)];
      const bool blamed = failure_ && std::ranges::find(failure_->ranks, peer) != failure_->ranks.end();
      if (peer != rank() && !there.has_all && !there.left && !there.lost && !(blamed && without_blamed)) {
        return false;
      }
    }
    return true;
  };
  if (!changed_.wait_for(lock, kShortFarewell, [&] { return all_have_all(false); })) {
    changed_.wait_for(lock, kFarewell - kShortFarewell, [&] { return all_have_all(true); });
  }
}

}  // namespace trireme::comm::message
