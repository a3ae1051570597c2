// The endpoint over any carrier: connections by need, greetings, windows, and the one queue that receive() reads.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "trireme/strategies/parameter_server/wire/link.h"
#include "trireme/strategies/parameter_server/wire/wire.h"

namespace trireme::strategies::parameter_server::wire {

class WireEndpoint final : public Endpoint {
 public:
  explicit WireEndpoint(const WireOptions& options);
  ~WireEndpoint() override;

  Node self() const override { return options_.self; }
  bool send(Node to, Parcel parcel, TimePoint deadline) override;
  Event receive(TimePoint deadline) override;
  std::uint64_t bytes_moved() const override { return moved_; }
  std::string carrier() const override;

 private:
  // One connection and what there is to know of it; guarded by the endpoint's mutex but for what says otherwise.
  class Session;
  using SessionRef = std::shared_ptr<Session>;
  using Lock = std::unique_lock<std::mutex>;
  struct Arrival {
    Event event;
    SessionRef session;
    std::size_t bytes = 0;
  };
  // Why there is no connection; whether trying again may help.
  struct Failure {
    std::string why;
    bool final = false;
  };

  void listen();
  void wait_for_farewells();
  std::shared_ptr<LinkHandler> accept(const std::shared_ptr<Link>& link);
  void check(Node to, const Parcel& parcel) const;

  // Calling (dialing.cpp).
  SessionRef connected(Node to, TimePoint deadline, Lock& lock);
  Failure call(Node to, TimePoint deadline);
  Failure greet(const SessionRef& session, const Address& address, Carrier& carrier, TimePoint deadline);
  bool knows(Node server);
  std::optional<Address> look_up(Node to, std::string& why);
  Carrier& carrier_to(Node to, const Address& address);

  // What sessions tell (sessions.cpp).
  void on_hello(const SessionRef& session, const Parcel& parcel);
  void on_answer(const SessionRef& session, const Parcel& parcel);
  bool calls_cross(const Hello& caller) const;
  void install(const SessionRef& session, std::shared_ptr<Link>& replaced);
  void post(const SessionRef& session, Parcel parcel);
  void push_lost(Node from, const std::string& why);
  void refuse(const SessionRef& session, const std::string& why, bool crossing);

  const WireOptions options_;
  const std::uint64_t incarnation_;
  const std::string host_;
  std::unique_ptr<Carrier> shm_;
  std::unique_ptr<Carrier> grpc_;
  std::atomic<std::uint64_t> moved_{0};
  std::atomic<bool> used_shm_{false};  // for a connection that this process has made
  std::atomic<bool> used_grpc_{false};

  std::mutex mutex_;
  std::condition_variable changed_;  // windows, sessions
  std::condition_variable arrived_;  // arrivals
  std::deque<Arrival> arrivals_;
  std::set<SessionRef> sessions_;
  std::map<Node, SessionRef> current_;  // open; by which parcels leave
  std::set<Node> calling_;
  std::map<Node, Address> known_;  // addresses, for when the store is gone
};

class WireEndpoint::Session final : public LinkHandler, public std::enable_shared_from_this<Session> {
 public:
  enum class Stage { greeting, open, ended };

  Session(WireEndpoint& owner, bool called) : owner_(owner), called_(called) {}

  void on_parcel(Parcel parcel) override;
  bool wants_more() override;
  std::size_t most_bytes() override { return stage == Stage::greeting ? 0 : SIZE_MAX; }
  void on_left(std::size_t bytes) override;
  void on_end(const std::string& why) override;
  bool called() const { return called_; }

  std::shared_ptr<Link> link;  // null once it has ended
  Node peer;
  std::atomic<Stage> stage{Stage::greeting};
  std::uint64_t incarnation = 0;  // of the process that was called
  std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();
  std::size_t waiting = 0;  // bytes that have not left
  std::size_t unread = 0;   // bytes that nobody has received
  bool paused = false;
  Failure failure;  // of a greeting

 private:
  WireEndpoint& owner_;
  const bool called_;  // by this process
};

}  // namespace trireme::strategies::parameter_server::wire
