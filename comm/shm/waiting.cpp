// Waiting: a short spin, then sleep on the own doorbell, looking now and then whether the peers still live; and what
// happens when they do not.
#include <algorithm>
#include <thread>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/rank_report.h"
#include "trireme/comm/shm/futex.h"
#include "trireme/comm/shm/shm_operation.h"

namespace trireme::comm::shm {
namespace {

constexpr auto kSpin = std::chrono::microseconds(40);        // about what a wake-up costs
constexpr auto kSpinCrowded = std::chrono::microseconds(1);  // more ranks than cores: a peer needs this core
constexpr auto kNap = std::chrono::milliseconds(4);          // a dead peer rings no bell
constexpr int kChecksAtOnce = 32;                            // between two looks at the clock
constexpr unsigned kPollsBetweenLooks = 64;

}  // namespace

void ShmCommunicator::ring(int rank) const {
  Control& peer = control(rank);
  if (peer.parked.load() != 0) {
    peer.doorbell.fetch_add(1);
    futex_wake(peer.doorbell);
  }
}

// The stores before this call are sequentially consistent, as is the waiter's: one of both sees the other.
void ShmCommunicator::ring_parked() const {
  for (int peer = 0; peer < size(); ++peer) {
    if (peer != rank()) {
      ring(peer);
    }
  }
}

template <class Done>
void ShmCommunicator::wait_until(const Operation& operation, Done done) {
  if (done()) {
    return;
  }
  const TimePoint begin = std::chrono::steady_clock::now();
  const auto spin = fabric_->has_core_for_each() ? kSpin : std::chrono::microseconds(kSpinCrowded);
  TimePoint now = begin;
  while (now - begin < spin) {
    for (int i = 0; i < kChecksAtOnce; ++i) {
      if (done()) {
        add_waiting(last_completion_ - begin);
        return;
      }
      relax();
    }
    now = std::chrono::steady_clock::now();
  }
  Control& self = own();
  const PhaseScope waiting(Phase::waiting);
  while (true) {
    const std::uint32_t bell = self.doorbell.load();
    self.parked.store(1);
    const bool ready = done();  // once more, now that every change rings the bell
    if (!ready && !failure_) {
      const auto left = operation.start + operation.timeout - std::chrono::steady_clock::now();
      futex_wait(self.doorbell, bell, std::clamp<std::chrono::nanoseconds>(left, std::chrono::microseconds(50), kNap));
    }
    self.parked.store(0);
    if (ready || done()) {
      add_waiting(last_completion_ - begin);
      return;
    }
    check_failures(operation, std::chrono::steady_clock::now());
    if (done()) {  // a peer that died after its last share is not missed
      return;
    }
    if (failure_) {
      raise(operation);
    }
  }
}

// A caller that polls instead of waiting must find out about failures too, but not by a system call each time.
void ShmCommunicator::poll_failures(const Operation& operation) {
  if (++idle_polls_ % kPollsBetweenLooks == 0 && !failure_) {
    check_failures(operation, std::chrono::steady_clock::now());
  }
  if (failure_) {
    raise(operation);
  }
}

// Those without whom the oldest unfinished operation cannot go on: who has not arrived, else who has not done its
// share.
std::vector<int> ShmCommunicator::missing_ranks(const Operation& operation) const {
  if (is_message(operation.kind)) {
    return is_open(operation) ? std::vector<int>{operation.peer} : std::vector<int>();
  }
  std::vector<int> absent;
  std::vector<int> unfinished;
  for (int peer = 0; peer < size() && completed_ < started_; ++peer) {
    if (peer == rank()) {
      continue;
    }
    if (control(peer).slots[completed_ % kWindow].published.load() < completed_ + 1) {
      absent.push_back(peer);
    }
    if (control(peer).finished.load() < completed_ + 1) {
      unfinished.push_back(peer);
    }
  }
  return absent.empty() ? unfinished : absent;
}

// Whether the message still waits for its peer, who may have taken or sent it as its last deed.
bool ShmCommunicator::is_open(const Operation& message) const {
  return std::ranges::any_of(messages_, [&](const auto& open) { return &open->operation == &message; });
}

// Whether the peer has given up this collective, or any message. One that failed later has done its part here.
bool ShmCommunicator::has_failed_before(int peer, std::uint64_t sequence) const {
  return control(peer).condition.load() == Condition::failed &&
         (sequence == started_ || control(peer).failed_at.load() <= sequence);
}

// What a peer says of itself goes before what can be seen of it from outside.
void ShmCommunicator::check_failures(const Operation& operation, TimePoint now) {
  for (int peer = 0; peer < size() && !failure_; ++peer) {
    if (has_failed_before(peer, completed_)) {
      adopt_failure(peer);
    }
  }
  for (int peer = 0; peer < size() && !failure_; ++peer) {
    if (is_gone(peer)) {
      check_gone(operation, peer);
    }
  }
  if (!failure_) {
    check_deadline(operation, now);
  }
}

// Collectives complete in order, so the oldest unfinished one is what stalls.
const Operation& ShmCommunicator::oldest_unfinished(const Operation& otherwise) const {
  return is_message(otherwise.kind) || completed_ == started_ ? otherwise : ring_[completed_ % ring_.size()]->operation;
}

void ShmCommunicator::check_deadline(const Operation& operation, TimePoint now) {
  const bool expired = now - operation.start >= operation.timeout;
  if (!expired && !stall_is_due(operation, now)) {
    return;
  }
  const Operation& stalled = oldest_unfinished(operation);
  const std::vector<int> missing = missing_ranks(operation);
  if (expired) {
    fail(fmt::format("the deadline of {} ms passed; {}", operation.timeout.count(), explain_stall(stalled, missing)),
         missing);
  } else {
    warn_of_stall(stalled, missing);
  }
}

bool ShmCommunicator::is_gone(int peer) const {
  return control(peer).condition.load() == Condition::left ||
         fabric_->is_dead(members_[static_cast<std::size_t>(peer)]);
}

// A peer that is gone is missed only if it went before its last share; its last stores are visible now.
void ShmCommunicator::check_gone(const Operation& operation, int peer) {
  advance();
  const std::vector<int> missing = missing_ranks(operation);
  if (failure_ || std::find(missing.begin(), missing.end(), peer) == missing.end()) {
    return;
  }
  if (control(peer).condition.load() == Condition::failed) {
    adopt_failure(peer);
  } else if (control(peer).condition.load() == Condition::left) {
    fail(fmt::format("{} has left the communicator; {}", name_of_rank(peer), last_known(look_at(peer))), {peer});
  } else {
    fail(fmt::format("{} is dead; {}", name_of_rank(peer), last_known(look_at(peer))), {peer});
  }
}

void ShmCommunicator::adopt_failure(int peer) {
  const int culprit = control(peer).culprit.load();
  std::string reason(control(peer).reason.view());
  if (peer != rank() && reason.find("(reported by rank") == std::string::npos) {
    reason += fmt::format(" (reported by rank {})", peer);
  }
  fail(std::move(reason), {culprit >= 0 && culprit < size() ? culprit : peer});
}

// Any thread: the first one to fail writes the reason.
void ShmCommunicator::show_failure(const std::string& cause, int culprit, std::uint64_t at) const {
  Control& self = own();
  Condition expected = Condition::running;
  if (self.condition.compare_exchange_strong(expected, Condition::failing)) {
    self.reason = Reason(cause);
    self.culprit.store(culprit);
    self.failed_at.store(at);
    self.condition.store(Condition::failed);
  }
  for (int peer = 0; peer < size(); ++peer) {  // parked or about to be, this process included
    control(peer).doorbell.fetch_add(1);
    futex_wake(control(peer).doorbell);
  }
}

void ShmCommunicator::fail(std::string cause, std::vector<int> ranks) {
  if (failure_) {
    return;
  }
  show_failure(cause, ranks.empty() ? -1 : ranks[0], completed_);
  failure_ = Failure{std::move(cause), std::move(ranks)};
  const TimePoint now = std::chrono::steady_clock::now();
  for (std::uint64_t sequence = completed_; sequence < started_; ++sequence) {
    recorder().failed(ring_[sequence % ring_.size()]->operation.record, now);
  }
}

void ShmCommunicator::abort(std::string_view reason) {
  show_failure(fmt::format("rank {} aborted the communicator: {}", rank(), reason), rank(), given_up_from_.load());
}

void ShmCommunicator::raise(const Operation& operation) const {
  throw comm_error(operation, rank(), failure_->ranks, failure_->cause);
}

template <class State>
bool ShmCommunicator::try_finish(const State& state) {
  if (!state.done && !failure_) {
    advance();
  }
  return state.done;
}

template <class State>
bool ShmCommunicator::poll_state(const State& state) {
  if (!try_finish(state)) {
    poll_failures(state.operation);
  }
  return state.done;
}

bool ShmOperation::poll() { return owner->poll_state(*this); }
void ShmOperation::wait() {
  owner->wait_until(operation, [this] { return owner->try_finish(*this); });
}

bool ShmMessage::poll() { return owner->poll_state(*this); }
void ShmMessage::wait() {
  owner->wait_until(operation, [this] { return owner->try_finish(*this); });
}

}  // namespace trireme::comm::shm
