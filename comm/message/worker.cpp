// The communication thread: carries out collectives while the caller does something else.
#include "trireme/comm/message/states.h"

namespace trireme::comm::message {
namespace {

// Waking the communication thread costs more than an operation of some 100 KB, in vain if the caller comes to wait and
// carries it out itself. So who has waited at once kPromptWaits times is expected to do so again: then nobody is woken,
// and the communication thread looks by itself, every kTick, whether it was a mistake; kIdleTicks without an operation
// end that.
constexpr int kPromptWaits = 3;
constexpr auto kPrompt = std::chrono::microseconds(50);
constexpr auto kTick = std::chrono::milliseconds(1);
constexpr int kIdleTicks = 20;

}  // namespace

void MessageCommunicator::want_worker() {
  if (prompt_waits_ < kPromptWaits) {
    wake_worker();
  } else {
    worker_wanted_ = true;
  }
}

void MessageCommunicator::wake_worker() {
  worker_wanted_ = true;
  if (!worker_.joinable()) {
    worker_ = std::thread([this] { work(); });
  } else if (!driving_) {
    wanted_.notify_all();
  }
}

void MessageCommunicator::expect_waits(std::chrono::nanoseconds after_start) {
  if (after_start >= kPrompt) {
    prompt_waits_ = 0;
  } else if (prompt_waits_ < kPromptWaits && ++prompt_waits_ == kPromptWaits) {
    wanted_.notify_all();
  }
}

void MessageCommunicator::work() {
  Lock lock(mutex_);
  while (!closing_) {
    if (worker_wanted_ && !driving_ && completed_ < opened_ && !failure_) {
      drive(lock, ~std::uint64_t{0});
    } else if (prompt_waits_ < kPromptWaits) {
      wanted_.wait(lock);
    } else {
      keep_an_eye(lock);
    }
  }
}

void MessageCommunicator::keep_an_eye(Lock& lock) {
  std::uint64_t seen = started_;
  for (int idle = 0; idle < kIdleTicks && prompt_waits_ >= kPromptWaits && !failure_ && !closing_; ++idle) {
    wanted_.wait_for(lock, kTick);
    if (worker_wanted_ && !driving_ && completed_ < opened_ &&
        std::chrono::steady_clock::now() - in_flight(completed_).operation.start > kPrompt) {
      break;
    }
    if (started_ != seen) {
      seen = started_;
      idle = 0;
    }
  }
  prompt_waits_ = 0;
}

}  // namespace trireme::comm::message
