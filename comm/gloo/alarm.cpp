#include <gloo/transport/unbound_buffer.h>

#include <algorithm>

#include "trireme/comm/gloo/alarm-inl.h"

namespace trireme::comm::gloo_backend {
namespace {

constexpr auto kBetweenLooks = std::chrono::milliseconds(100);
// Gloo takes an abort for one of the next wait too, even if that had nothing to wait for. So no abort comes before the
// wait has surely begun, and what ended sooner than it could have is done again.
constexpr auto kBegun = std::chrono::milliseconds(2);
constexpr auto kSurelyWaited = std::chrono::milliseconds(1);
constexpr auto kAgain = std::chrono::milliseconds(3);
constexpr auto kForLetters = std::chrono::milliseconds(200);  // before connections are closed under an operation

}  // namespace

Alarm::Waiting::Waiting(Alarm& alarm, gloo::transport::UnboundBuffer& buffer, bool receives, Link::Deadline deadline)
    : alarm_(alarm),
      buffer_(buffer),
      receives_(receives),
      begin_(std::chrono::steady_clock::now()),
      deadline_(std::max(deadline, begin_ + kBegun)) {
  const std::lock_guard lock(alarm_.mutex_);
  alarm_.waits_.push_back(this);
  if (deadline_ < alarm_.wake_ || alarm_.interrupted_) {
    alarm_.changed_.notify_one();
  }
}

Alarm::Waiting::~Waiting() {
  const std::lock_guard lock(alarm_.mutex_);
  alarm_.waits_.erase(std::find(alarm_.waits_.begin(), alarm_.waits_.end(), this));
}

bool Alarm::Waiting::wait() const {
  while (true) {
    const Link::Deadline begin = std::chrono::steady_clock::now();
    if (receives_ ? buffer_.waitRecv(nullptr, kForever) : buffer_.waitSend(nullptr, kForever)) {
      return true;
    }
    const Link::Deadline end = std::chrono::steady_clock::now();
    if (end - begin >= kSurelyWaited && (end >= deadline_ || alarm_.interrupted())) {
      return false;
    }
  }
}

// The tripwires are receives of what nobody sends: they complete by an error, when the connection is gone.
Alarm::Alarm(Mesh& mesh) : mesh_(mesh), tripwires_(static_cast<std::size_t>(mesh.size)) {
  for (int peer = 0; peer < mesh.size; ++peer) {
    if (peer != mesh.rank) {
      Buffer& wire = tripwires_[static_cast<std::size_t>(peer)];
      wire = mesh.whole_memory();
      try {
        wire->recv(peer, kTripwireSlot, 0, 0);
      } catch (const std::exception&) {  // gone already; looking at it will say so, as at every other use
      }
    }
  }
  thread_ = std::thread([this] { run(); });
}

Alarm::~Alarm() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void Alarm::watch(std::function<void(int, const std::string&)> lost) {
  const std::lock_guard lock(mutex_);
  lost_ = std::move(lost);
}

void Alarm::stop_watching() {
  std::unique_lock lock(mutex_);
  lost_ = nullptr;
  changed_.wait(lock, [&] { return !calling_; });
}

void Alarm::interrupt() {
  const std::lock_guard lock(mutex_);
  if (!interrupted_) {
    interrupted_ = std::chrono::steady_clock::now();
  }
  changed_.notify_all();
}

bool Alarm::interrupted() const {
  const std::lock_guard lock(mutex_);
  return interrupted_.has_value();
}

void Alarm::enter_engine() {
  const std::lock_guard lock(mutex_);
  in_engine_ = true;
}

void Alarm::leave_engine() {
  const std::lock_guard lock(mutex_);
  in_engine_ = false;
}

void Alarm::ring(const Waiting& waiting) const {
  waiting.receives_ ? waiting.buffer_.abortWaitRecv() : waiting.buffer_.abortWaitSend();
}

void Alarm::run() {
  std::unique_lock lock(mutex_);
  Link::Deadline next_look = std::chrono::steady_clock::now() + kBetweenLooks;
  while (!stopping_) {
    const Link::Deadline now = std::chrono::steady_clock::now();
    wake_ = next_look;
    for (const Waiting* waiting : waits_) {
      const Link::Deadline end = interrupted_ ? waiting->begin_ + kBegun : waiting->deadline_;
      if (end <= now) {
        ring(*waiting);
      }
      wake_ = std::min(wake_, end <= now ? now + kAgain : end);
    }
    if (interrupted_ && in_engine_ && now >= *interrupted_ + kForLetters) {
      close_connections();
    }
    if (now >= next_look) {
      next_look = now + kBetweenLooks;
      look_at_tripwires(lock);
      continue;
    }
    changed_.wait_until(lock, wake_);
  }
}

void Alarm::look_at_tripwires(std::unique_lock<std::mutex>& lock) {
  for (int peer = 0; peer < mesh_.size && lost_ && !stopping_; ++peer) {
    Buffer& wire = tripwires_[static_cast<std::size_t>(peer)];
    if (wire == nullptr) {
      continue;
    }
    std::string why;
    try {
      wire->abortWaitRecv();  // so that the wait is none
      wire->waitRecv(nullptr, kForever);
      continue;
    } catch (const std::exception& error) {
      why = plain(error.what());
    }
    wire.reset();
    const auto lost = lost_;
    calling_ = true;
    lock.unlock();
    lost(peer, why);
    lock.lock();
    calling_ = false;
    changed_.notify_all();
  }
}

// A wait of Gloo that times out closes all connections, and nothing else wakes those that wait in its own operations.
void Alarm::close_connections() {
  try {
    const Buffer buffer = mesh_.whole_memory();
    buffer->recv(mesh_.rank == 0 ? 1 : 0, kTripwireSlot + 1, 0, 0);
    buffer->waitRecv(nullptr, std::chrono::milliseconds(1));
  } catch (const std::exception&) {  // that was its purpose
  }
  in_engine_ = false;
}

}  // namespace trireme::comm::gloo_backend
