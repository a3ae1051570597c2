// What Gloo's waiting lacks: an end that leaves the connections as they are, and the news that a connection is gone
// while nobody waits for it. One thread, which looks now and then.
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
    Waiting(Alarm& alarm, gloo::transport::UnboundBuffer& buffer, bool receives, Link::Deadline deadline);
    ~Waiting();
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    // True when the transfer is complete, false at the end of the waiting. Raises Gloo's exceptions.
    bool wait() const;

   private:
    friend class Alarm;
    Alarm& alarm_;
    gloo::transport::UnboundBuffer& buffer_;
    const bool receives_;
    const Link::Deadline begin_;
    const Link::Deadline deadline_;
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
  void run();
  void ring(const Waiting& waiting) const;
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
  std::vector<Buffer> tripwires_;  // by rank; empty where there is none, or it has been touched
  std::function<void(int, const std::string&)> lost_;
  std::thread thread_;
};

}  // namespace trireme::comm::gloo_backend
