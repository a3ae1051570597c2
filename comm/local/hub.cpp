#include "trireme/comm/local/hub.h"

#include <algorithm>
#include <cstring>

#include "trireme/comm/local/execute.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/rank_report.h"
#include "trireme/comm/signature.h"

namespace trireme::comm {

std::shared_ptr<LocalHub::Meeting> LocalHub::start(Operation operation, int rank) {
  const std::lock_guard lock(mutex_);
  if (is_broken_for(operation)) {
    throw comm_error(operation, rank, failure_->ranks, failure_->cause);
  }
  return is_message(operation.kind) ? start_message(std::move(operation), rank)
                                    : start_collective(std::move(operation), rank);
}

std::shared_ptr<LocalHub::Meeting> LocalHub::start_collective(Operation operation, int rank) {
  const std::uint64_t sequence = operation.sequence;
  std::shared_ptr<Meeting>& slot = collectives_[sequence];
  if (slot == nullptr) {
    slot = std::make_shared<Meeting>(static_cast<std::size_t>(size_));
  }
  const std::shared_ptr<Meeting> meeting = slot;
  next_[static_cast<std::size_t>(rank)] = sequence + 1;
  meeting->operations[static_cast<std::size_t>(rank)] = std::move(operation);
  if (++meeting->arrived == static_cast<std::size_t>(size_)) {
    collectives_.erase(sequence);
    carry_out(*meeting, sequence);
  }
  return meeting;
}

void LocalHub::carry_out(Meeting& meeting, std::uint64_t sequence) {
  std::vector<const Operation*> by_rank;
  for (const std::optional<Operation>& operation : meeting.operations) {
    by_rank.push_back(&*operation);
  }
  if (auto mismatch = mismatch_of(by_rank)) {
    fail(std::move(mismatch->cause), std::move(mismatch->ranks), sequence);
    return;
  }
  execute(by_rank);
  meeting.done = true;
  meeting.operations.clear();  // lets go of the arrays
  changed_.notify_all();
}

std::shared_ptr<LocalHub::Meeting> LocalHub::start_message(Operation operation, int rank) {
  const bool sends = operation.kind == OpKind::send;
  const std::size_t side = sends ? 0 : 1;
  const auto key =
      sends ? std::tuple(rank, operation.peer, operation.tag) : std::tuple(operation.peer, rank, operation.tag);
  const auto [first, last] = messages_.equal_range(key);
  for (auto it = first; it != last; ++it) {
    if (!it->second->operations[side]) {  // the oldest that waits for this side
      const std::shared_ptr<Meeting> meeting = it->second;
      meeting->operations[side] = std::move(operation);
      messages_.erase(it);
      carry_out_message(*meeting);
      return meeting;
    }
  }
  auto meeting = std::make_shared<Meeting>(2);
  meeting->operations[side] = std::move(operation);
  messages_.emplace(key, meeting);
  return meeting;
}

void LocalHub::carry_out_message(Meeting& meeting) {
  const Operation& from = *meeting.operations[0];
  const Operation& to = *meeting.operations[1];
  if (from.input.count() != to.output.count() || from.input.dtype() != to.output.dtype()) {
    fail(disagreement(to.peer, describe(signature_of(from), from.sequence, from.name.view()), from.peer,
                      describe(signature_of(to), to.sequence, to.name.view())),
         {to.peer, from.peer}, 0);
    return;
  }
  if (from.input.count() > 0) {
    std::memcpy(to.output.bytes_data(), from.input.bytes_data(), from.input.bytes());
  }
  meeting.done = true;
  meeting.operations.clear();
  changed_.notify_all();
}

bool LocalHub::is_broken_for(const Operation& operation) const {
  return failure_ && (is_message(operation.kind) || operation.sequence >= failure_->from);
}

// The first cause stays.
void LocalHub::fail(std::string cause, std::vector<int> ranks, std::uint64_t from) {
  if (!failure_) {
    failure_ = Failure{std::move(cause), std::move(ranks), from};
  }
  failure_->from = std::min(failure_->from, from);
  changed_.notify_all();
}

std::vector<int> LocalHub::absent(const Meeting& meeting, const Operation& operation) const {
  if (is_message(operation.kind)) {
    return {operation.peer};
  }
  std::vector<int> ranks;
  for (std::size_t rank = 0; rank < meeting.operations.size(); ++rank) {
    if (!meeting.operations[rank]) {
      ranks.push_back(static_cast<int>(rank));
    }
  }
  return ranks;
}

void LocalHub::check_left(const Meeting& meeting, const Operation& operation) {
  for (const int rank : absent(meeting, operation)) {
    if (left_[static_cast<std::size_t>(rank)]) {
      fail(fmt::format("rank {} has left the communicator before it started {}", rank, describe(operation)), {rank},
           is_message(operation.kind) ? 0 : operation.sequence);
    }
  }
}

bool LocalHub::finished(const Meeting& meeting, const Operation& operation, int rank) {
  if (meeting.done) {
    return true;
  }
  if (!is_broken_for(operation)) {
    check_left(meeting, operation);
  }
  if (is_broken_for(operation)) {
    throw comm_error(operation, rank, failure_->ranks, failure_->cause);
  }
  return false;
}

bool LocalHub::poll(const Meeting& meeting, const Operation& operation, int rank) {
  const std::lock_guard lock(mutex_);
  return finished(meeting, operation, rank);
}

bool LocalHub::wait(const Meeting& meeting, const Operation& operation, int rank, TimePoint until) {
  std::unique_lock lock(mutex_);
  while (!finished(meeting, operation, rank)) {
    if (changed_.wait_until(lock, until) == std::cv_status::timeout) {
      return finished(meeting, operation, rank);
    }
  }
  return true;
}

std::vector<int> LocalHub::missing(const Meeting& meeting, const Operation& operation) {
  const std::lock_guard lock(mutex_);
  return absent(meeting, operation);
}

void LocalHub::give_up(const Meeting& meeting, const Operation& operation, std::string cause, std::vector<int> ranks) {
  const std::lock_guard lock(mutex_);
  if (!meeting.done) {
    fail(std::move(cause), std::move(ranks), is_message(operation.kind) ? 0 : operation.sequence);
  }
}

void LocalHub::abort(const std::string& reason, int rank) {
  const std::lock_guard lock(mutex_);
  const auto r = static_cast<std::size_t>(rank);
  const auto waits_for = std::find_if(collectives_.begin(), collectives_.end(),
                                      [&](const auto& entry) { return entry.second->operations[r].has_value(); });
  fail(fmt::format("rank {} aborted the communicator: {}", rank, reason), {rank},
       waits_for == collectives_.end() ? next_[r] : waits_for->first);
}

void LocalHub::join(const Communicator& rank) {
  const std::lock_guard lock(mutex_);
  ranks_[static_cast<std::size_t>(rank.rank())] = &rank;
}

void LocalHub::leave(int rank) {
  const std::lock_guard lock(mutex_);
  left_[static_cast<std::size_t>(rank)] = true;
  ranks_[static_cast<std::size_t>(rank)] = nullptr;
  changed_.notify_all();
}

std::vector<RankReport> LocalHub::reports() {
  const std::lock_guard lock(mutex_);
  std::vector<RankReport> reports;
  for (int rank = 0; rank < size_; ++rank) {
    const auto r = static_cast<std::size_t>(rank);
    if (ranks_[r] != nullptr) {
      reports.push_back(ranks_[r]->own_report(FlightRecorder::kCapacity));
      reports.back().pid = -1;  // the same for all
    } else {
      reports.push_back({.rank = rank, .presence = left_[r] ? Presence::left : Presence::silent});
    }
  }
  return reports;
}

std::shared_ptr<LocalHub> LocalHub::child(std::uint64_t index, int colour, int size) {
  const std::lock_guard lock(mutex_);
  Child& child = children_[{index, colour}];
  if (child.hub == nullptr) {
    child.hub = std::make_shared<LocalHub>(size);
  }
  const std::shared_ptr<LocalHub> hub = child.hub;
  if (++child.taken == size) {
    children_.erase({index, colour});
  }
  return hub;
}

}  // namespace trireme::comm
