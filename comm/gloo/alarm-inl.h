// What Gloo's waiting lacks: an end that leaves the connections as they are, and the news that a connection is gone
// while nobody waits for it, or somebody waits for bytes that were under way: of those Gloo says nothing. One thread,
// which looks now and then.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "trireme/comm/gloo/mesh-inl.h"

namespace trireme::comm::gloo_backend {

class Alarm {
 public:
  // A thread that waits for a buffer: it is woken at the deadline, by an abort of its wait, until it is taken out.
  class Waiting {
   public:
    Waiting(Alarm& alarm, gloo::transport::UnboundBuffer& buffer, int peer, bool receives, Link::Deadline deadline);
    ~Waiting();
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    // True when the transfer is complete, false at the end of the waiting. Raises Gloo's exceptions, and LinkError when
    // the connection with the peer is gone.
    bool wait() const;

   private:
    friend class Alarm;
    Alarm& alarm_;
    gloo::transport::UnboundBuffer& buffer_;
    const int peer_;
    const bool receives_;
    const Link::Deadline begin_;
    const Link::Deadline deadline_;
    std::string gone_;  // at the beginning
  };

  explicit Alarm(Mesh& mesh);
  ~Alarm();

  // From now on it is called, without any lock, for each peer whose connection is gone. Once.
  void watch(std::function<void(int peer, const std::string& why)> lost);
  void stop_watching();
  // Every wait ends, also those that begin later.
  void interrupt();
  bool interrupted() const;
  // While one of Gloo's own operations runs on this thread: nothing but closing the connections ends it.
  void enter_engine();
  void leave_engine();

 private:
  // A receive of what nobody sends: it completes by an error, when the connection is gone.
  struct Tripwire {
    Buffer buffer;
    std::string gone;  // why; empty as long as the connection stands
    bool told = false;
  };

  void run();
  void ring(const Waiting& waiting) const;
  // Why the connection with the peer is gone; empty if it is not.
  std::string gone(int peer) const;
  Link::Deadline end_of(const Waiting& waiting) const;
  void look_at_tripwires(std::unique_lock<std::mutex>& lock);
  void close_connections();

  Mesh& mesh_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<const Waiting*> waits_;
  Link::Deadline wake_{};
  bool stopping_ = false;
  bool in_engine_ = false;
  bool calling_ = false;  // `lost_` is being called
  std::optional<Link::Deadline> interrupted_;
  std::vector<Tripwire> tripwires_;  // by rank
  std::function<void(int, const std::string&)> lost_;
  std::thread thread_;
};

}  // namespace trireme::comm::gloo_backend
