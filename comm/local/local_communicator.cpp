#include "trireme/comm/local/local_communicator.h"

#include <algorithm>

#include "trireme/comm/flight_recorder.h"
#include "trireme/comm/operation_text.h"
#include "trireme/comm/rank_report.h"
#include "trireme/comm/split_plan.h"

namespace trireme::comm {

class LocalCommunicator::State final : public WorkState {
 public:
  State(LocalCommunicator* owner, Operation&& operation)
      : owner_(owner), hub_(owner->hub_), operation_(std::move(operation)) {
    guarded([&] {
      meeting_ = hub_->start(operation_, owner_->rank());
      return false;
    });
  }

  bool poll() override {
    return guarded([&] { return hub_->poll(*meeting_, operation_, owner_->rank()); });
  }
  void wait() override {
    if (done_) {
      return;
    }
    const auto before = std::chrono::steady_clock::now();
    const PhaseScope waiting(Phase::waiting);
    guarded([&] {
      while (!hub_->wait(*meeting_, operation_, owner_->rank(), time_to_speak())) {
        speak(std::chrono::steady_clock::now());
      }
      return true;
    });
    owner_->add_waiting(std::chrono::steady_clock::now() - before);
  }

 private:
  LocalHub::TimePoint deadline() const { return operation_.start + operation_.timeout; }
  LocalHub::TimePoint time_to_speak() const {
    return std::min(deadline(), operation_.start + owner_->stalls().next(operation_.record, operation_.timeout));
  }

  void speak(LocalHub::TimePoint now) {
    const std::vector<int> missing = hub_->missing(*meeting_, operation_);
    if (now >= deadline()) {
      hub_->give_up(*meeting_, operation_,
                    fmt::format("the deadline of {} ms passed; {}", operation_.timeout.count(),
                                owner_->explain_stall(operation_, missing)),
                    missing);
    } else if (owner_->stall_is_due(operation_, now)) {
      owner_->warn_of_stall(operation_, missing);
    }
  }

  template <class F>
  bool guarded(F f) {
    if (done_) {
      return true;
    }
    try {
      done_ = f();
    } catch (...) {
      owner_->recorder().failed(operation_.record, std::chrono::steady_clock::now());
      throw;
    }
    if (done_) {
      owner_->recorder().completed(operation_.record, std::chrono::steady_clock::now());
    }
    return done_;
  }

  LocalCommunicator* owner_;
  std::shared_ptr<LocalHub> hub_;
  Operation operation_;
  std::shared_ptr<LocalHub::Meeting> meeting_;
  bool done_ = false;
};

std::shared_ptr<WorkState> LocalCommunicator::start(Operation&& operation) {
  bytes_moved_ += traffic_of(operation, rank(), size());
  return std::make_shared<State>(this, std::move(operation));
}

std::vector<RankReport> LocalCommunicator::look_at_ranks() { return hub_->reports(); }

std::shared_ptr<Communicator> LocalCommunicator::split(int colour, int key) {
  const std::vector<int> members = members_of_split(*this, colour, key);
  const std::uint64_t index = splits_++;
  if (members.empty()) {
    return nullptr;
  }
  const auto place = std::find(members.begin(), members.end(), rank()) - members.begin();
  auto child = std::make_shared<LocalCommunicator>(hub_->child(index, colour, static_cast<int>(members.size())),
                                                   static_cast<int>(place));
  child->set_default_timeout(default_timeout());
  return child;
}

}  // namespace trireme::comm
