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

Alarm::Waiting::Waiting(Alarm& alarm, gloo::transport::UnboundBuffer& buffer, int peer, bool receives,
                        Link::Deadline deadline)
    : alarm_(alarm),
      buffer_(buffer),
      peer_(peer),
      receives_(receives),
      begin_(std::chrono::steady_clock::now()),
      deadline_(std::max(deadline, begin_ + kBegun)) {
  const std::lock_guard lock(alarm_.mutex_);
  gone_ = alarm_.tripwires_[static_cast<std::size_t>(peer)].gone;
  alarm_.waits_.push_back(this);
  if (alarm_.end_of(*this) < alarm_.wake_) {
    alarm_.changed_.notify_one();
  }
}

Alarm::Waiting::~Waiting() {
  const std::lock_guard lock(alarm_.mutex_);
  alarm_.waits_.erase(std::find(alarm_.waits_.begin(), alarm_.waits_.end(), this));
}

// Nothing completes after the connection is known to be gone, so a wait that began then is the last.
bool Alarm::Waiting::wait() const {
  for (std::string gone = gone_;; gone = alarm_.gone(peer_)) {
    const Link::Deadline begin = std::chrono::steady_clock::now();
    if (receives_ ? buffer_.waitRecv(nullptr, kForever) : buffer_.waitSend(nullptr, kForever)) {
      return true;
    }
    const Link::Deadline end = std::chrono::steady_clock::now();
    if (end - begin < kSurelyWaited) {
      continue;
    }
    if (!gone.empty()) {
      throw LinkError(gone, peer_);
    }
    if (end >= deadline_ || alarm_.interrupted()) {
      return false;
    }
  }
}

Alarm::Alarm(Mesh& mesh) : mesh_(mesh), tripwires_(static_cast<std::size_t>(mesh.size)) {
  for (int peer = 0; peer < mesh.size; ++peer) {
    if (peer != mesh.rank) {
      Tripwire& wire = tripwires_[static_cast<std::size_t>(peer)];
      wire.buffer = mesh.whole_memory();
      try {
        wire.buffer->recv(peer, kTripwireSlot, 0, 0);
      } catch (const std::exception& error) {
        wire.gone = plain(error.what());
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

std::string Alarm::gone(int peer) const {
  const std::lock_guard lock(mutex_);
  return tripwires_[static_cast<std::size_t>(peer)].gone;
}

// REQUIRES: the lock.
Link::Deadline Alarm::end_of(const Waiting& waiting) const {
  const bool now = interrupted_ || !tripwires_[static_cast<std::size_t>(waiting.peer_)].gone.empty();
  return now ? waiting.begin_ + kBegun : waiting.deadline_;
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
      const Link::Deadline end = end_of(*waiting);
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
  for (int peer = 0; peer < mesh_.size && !stopping_; ++peer) {
    Tripwire& wire = tripwires_[static_cast<std::size_t>(peer)];
    if (wire.buffer != nullptr && wire.gone.empty()) {
      try {
        wire.buffer->abortWaitRecv();  // so that the wait is none
        wire.buffer->waitRecv(nullptr, kForever);
      } catch (const std::exception& error) {
        wire.gone = plain(error.what());
      }
    }
    if (wire.gone.empty() || wire.told || !lost_) {
      continue;
    }
    wire.told = true;
    const auto lost = lost_;
    const std::string why = wire.gone;
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
