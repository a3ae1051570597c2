// One gRPC stream as a link: the half that callers and called have in common. gRPC calls the reactions from threads of
// its own, never two of the same operation at a time.
#pragma once

#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <map>
#include <mutex>
#include <vector>

#include "trireme/core/base/error.h"
#include "trireme/strategies/parameter_server/wire/grpc/byte_messages-inl.h"

namespace trireme::strategies::parameter_server::wire {

// The streams that gRPC still has, so that their carrier can wait for them; and those that it has let go of, but that
// hold a channel: the last channel's end joins gRPC's threads, so it must not come from one of them.
class LiveStreams {
 public:
  void add(const std::shared_ptr<Link>& link) {
    const std::lock_guard lock(mutex_);
    links_.emplace(link.get(), link);
  }
  // `link` may be gone when this returns, unless it holds a channel.
  void remove(const Link* link, bool holds_channel) {
    decltype(links_)::node_type removed;
    const std::lock_guard lock(mutex_);
    removed = links_.extract(link);
    if (holds_channel) {
      over_.push_back(std::move(removed.mapped()));
      removed = {};
    }
    changed_.notify_all();
  }
  // From a thread that is none of gRPC's. `all`: also those that another thread may still have in hand.
  void bury(bool all) {
    std::vector<std::shared_ptr<Link>> buried;
    const std::lock_guard lock(mutex_);
    const auto first =
        std::partition(over_.begin(), over_.end(), [&](const auto& link) { return !all && link.use_count() > 1; });
    buried.assign(std::make_move_iterator(first), std::make_move_iterator(over_.end()));
    over_.erase(first, over_.end());
  }
  // False: some have not ended by the deadline.
  bool end_all(std::chrono::steady_clock::time_point deadline) {
    std::vector<std::shared_ptr<Link>> links;
    std::unique_lock lock(mutex_);
    for (const auto& [key, link] : links_) {
      links.push_back(link);
    }
    lock.unlock();
    for (const auto& link : links) {
      link->cut();
    }
    lock.lock();
    return changed_.wait_until(lock, deadline, [&] { return links_.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<const Link*, std::shared_ptr<Link>> links_;
  std::vector<std::shared_ptr<Link>> over_;
};

// Reactor: grpc::ClientBidiReactor or grpc::ServerBidiReactor of ByteBuffers.
template <class Reactor>
class Stream : public Reactor, public Link, public std::enable_shared_from_this<Stream<Reactor>> {
 public:
  explicit Stream(std::shared_ptr<LiveStreams> live) : live_(std::move(live)) {}

  void send(Parcel parcel) override {
    auto outgoing = std::make_unique<OutgoingMessages>(std::move(parcel));
    const std::lock_guard lock(mutex_);  // goes before the parcel does
    if (!ended_) {
      queue_.push_back(std::move(outgoing));
      write_next();
    }
  }
  void leave() override {
    const std::lock_guard lock(mutex_);
    if (!ended_) {
      queue_.push_back(OutgoingMessages::farewell());
      write_next();
    }
  }
  void cut() override {
    cut_ = true;
    cancel();
    if (read_waits_.exchange(false)) {
      read();
    }
  }
  void read_on() override {
    if (read_waits_.exchange(false)) {
      read();
    }
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      end();
      return;
    }
    heard_ = true;
    try {
      peer_left_ = take_message(incoming_, body_, *handler_) || peer_left_;
    } catch (const std::exception& error) {
      why_ = error.what();
      cut();
    }
    incoming_.Clear();
    read_waits_ = true;
    if ((cut_ || handler_->wants_more()) && read_waits_.exchange(false)) {
      read();
    }
  }

  void OnWriteDone(bool ok) override {
    std::unique_ptr<OutgoingMessages> left;
    {
      const std::lock_guard lock(mutex_);
      writing_ = false;
      outgoing_.Clear();
      if (queue_.front()->at_end()) {
        left = std::move(queue_.front());
        queue_.pop_front();
      }
      if (ended_) {
        close();
      } else if (ok && left != nullptr && left->is_farewell()) {
        farewell_sent();
      } else if (ok) {
        write_next();
      }
    }
    if (left != nullptr) {
      handler_->on_left(left->bytes());
    }
  }

 protected:
  // REQUIRES: no operation has been started. `handler` hears of the stream from here on.
  void begin(std::shared_ptr<LinkHandler> handler) {
    handler_ = std::move(handler);
    live_->add(this->shared_from_this());
  }
  // For OnDone(): gRPC has no more use for this object, which may be gone when this returns.
  void done(const std::string& status, bool holds_channel) {
    std::deque<std::unique_ptr<OutgoingMessages>> unsent;
    {
      const std::lock_guard lock(mutex_);
      ended_ = over_ = true;
      unsent.swap(queue_);
    }
    unsent.clear();
    const std::string why = peer_left_ ? std::string(kHasLeft) : why_.empty() ? status : why_;
    std::exchange(handler_, nullptr)->on_end(why);
    const std::shared_ptr<LiveStreams> live = live_;
    live->remove(this, holds_channel);
  }
  void read() {
    const std::lock_guard lock(mutex_);
    if (!closed_) {
      this->StartRead(&incoming_);
    }
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    if (!writing_) {
      close();
    }
  }

  // The call is over as soon as gRPC can have it so.
  virtual void cancel() = 0;
  // With the mutex: this side starts no further operation.
  virtual void start_close() = 0;
  // With the mutex: the peer is told that nothing more comes.
  virtual void farewell_sent() = 0;

  void close() {
    if (!std::exchange(closed_, true)) {
      start_close();
    }
  }

  std::mutex mutex_;
  bool ended_ = false;   // nothing more is sent
  bool closed_ = false;  // nothing more is started
  bool over_ = false;    // gRPC has let go of it
  bool heard_ = false;   // from the peer, once at least

 private:
  void write_next() {
    if (!writing_ && !queue_.empty()) {
      writing_ = true;
      outgoing_ = queue_.front()->next();
      this->StartWrite(&outgoing_);
    }
  }

  const std::shared_ptr<LiveStreams> live_;
  std::shared_ptr<LinkHandler> handler_;
  std::deque<std::unique_ptr<OutgoingMessages>> queue_;
  bool writing_ = false;
  grpc::ByteBuffer outgoing_;
  // Reading: one reaction at a time.
  grpc::ByteBuffer incoming_;
  BodyWriter body_;
  std::atomic<bool> read_waits_{false};  // for read_on()
  std::atomic<bool> cut_{false};
  std::atomic<bool> peer_left_{false};
  std::string why_;
};

}  // namespace trireme::strategies::parameter_server::wire
