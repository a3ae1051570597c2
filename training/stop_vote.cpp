#include "trireme/training/stop_vote.h"

namespace trireme::training {

std::string_view name_of(StopReason reason) {
  switch (reason) {
    case StopReason::none:
      return "none";
    case StopReason::finished:
      return "finished";
    case StopReason::requested:
      return "requested";
    case StopReason::time_limit:
      return "time limit";
    case StopReason::signal:
      return "signal";
  }
  return "unknown";
}

StopVote::StopVote(comm::Communicator& communicator, bool together)
    : communicator_(communicator), together_(together && communicator.size() > 1) {
  if (together_) {
    ballot_ = communicator_.allocate({1}, DType::i32);
  }
}

StopReason StopVote::vote(StopReason wish) {
  if (!together_) {
    return wish;
  }
  const StopReason agreed = collect();
  *ballot_.data<std::int32_t>() = static_cast<std::int32_t>(wish);
  work_ = communicator_.all_reduce(ballot_, comm::ReduceOp::max, {.name = "vote to stop"});
  open_ = true;
  return agreed;
}

StopReason StopVote::finish() { return collect(); }

StopReason StopVote::collect() {
  if (!open_) {
    return StopReason::none;
  }
  work_.wait();
  work_ = {};
  open_ = false;
  return static_cast<StopReason>(*ballot_.data<std::int32_t>());
}

}  // namespace trireme::training
