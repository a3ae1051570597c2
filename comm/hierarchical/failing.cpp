// Failures: from either level to both, in the words of the whole.
#include <algorithm>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/hierarchical/hierarchical_communicator.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/stall.h"

namespace trireme::comm::hierarchical {
namespace {

// A carrier answers for its whole host, of which any rank may be the one that is missing.
void blame_hosts(const Hosts& hosts, Failure& failure) {
  std::vector<int> blamed;
  for (const int carrier : failure.ranks) {
    for (const int rank : hosts.ranks_of(hosts.host_of[static_cast<std::size_t>(carrier)])) {
      blamed.push_back(rank);
    }
  }
  if (blamed.size() > failure.ranks.size()) {
    failure.cause += "; it speaks for its host, which has";
    for (std::size_t i = 0; i < blamed.size(); ++i) {
      failure.cause += fmt::format("{} rank {}", i == 0 ? "" : ",", blamed[i]);
    }
    failure.ranks = std::move(blamed);
  }
}

}  // namespace

const std::vector<int>& HierarchicalCommunicator::ranks_of(Level level) const {
  return level == Level::inside   ? levels_.first_ranks
         : level == Level::across ? levels_.across_ranks
                                  : levels_.whole_ranks;
}

// A passed deadline that this rank has found itself (one that it was told of has been explained): who is late may be
// behind others who wait for it.
Failure HierarchicalCommunicator::failure_of(const CommError& error, const Operation& operation, Level level) {
  Failure failure = translate(error.details(), ranks_of(level), operation.timeout);
  if (level == Level::across && failure.cause.starts_with("the deadline")) {
    blame_hosts(levels_.hosts, failure);
  }
  if (error.details().cause.starts_with("the deadline")) {
    const std::vector<RankReport> reports = look_at_ranks();
    failure.cause = fmt::format("the deadline of {} ms passed; {}", operation.timeout.count(),
                                waiting_for(late_ranks(operation, failure.ranks, reports), reports, 0));
  }
  return failure;
}

// Any thread. The first failure stays, and goes to the peers on all levels.
void HierarchicalCommunicator::fail(Failure failure) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_) {
      return;
    }
    failure_ = failure;
    failed_.store(true);
  }
  const std::string reason = relay(failure);
  for (Communicator* part : levels_.all()) {
    if (part != nullptr) {
      part->abort(reason);
    }
  }
}

void HierarchicalCommunicator::abort(std::string_view reason) {
  fail({fmt::format("rank {} aborted the communicator: {}", rank(), reason), {rank()}});
}

// The communicator's thread only.
void HierarchicalCommunicator::raise(const Operation& operation) {
  const TimePoint now = std::chrono::steady_clock::now();
  for (; completed_ < queued_; ++completed_) {
    recorder().failed(piece(completed_).chain->operation.record, now);
  }
  recorder().failed(operation.record, now);
  const std::lock_guard lock(mutex_);
  throw comm_error(operation, rank(), failure_->ranks, failure_->cause);
}

}  // namespace trireme::comm::hierarchical
