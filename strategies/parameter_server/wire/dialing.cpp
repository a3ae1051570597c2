// How a WireEndpoint comes to a connection: the address from the store, the carrier that fits, the greeting.
#include <algorithm>

#include "trireme/core/base/error.h"
#include "trireme/strategies/parameter_server/wire/greeting.h"
#include "trireme/strategies/parameter_server/wire/grpc/grpc_carrier.h"
#include "trireme/strategies/parameter_server/wire/wire_endpoint.h"

namespace trireme::strategies::parameter_server::wire {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFirstPause(1);
constexpr milliseconds kLongestPause(50);
constexpr milliseconds kAgainFromStore(200);

}  // namespace

// Null: not by the deadline, or a worker, whom nobody can call.
WireEndpoint::SessionRef WireEndpoint::connected(Node to, TimePoint deadline, Lock& lock) {
  milliseconds pause = kFirstPause;
  std::string why = "another thread is calling it";
  while (true) {
    if (const auto found = current_.find(to); found != current_.end()) {
      return found->second;
    }
    if (to.role == Role::worker) {
      return nullptr;
    }
    if (calling_.insert(to).second) {
      lock.unlock();
      const Failure failure = call(to, deadline);
      lock.lock();
      calling_.erase(to);
      changed_.notify_all();
      require(!failure.final, "{}: {}", name_of(options_.self), failure.why);
      if (failure.why.empty()) {
        continue;
      }
      why = failure.why;
    }
    if (steady_clock::now() >= deadline) {
      push_lost(to, fmt::format("no connection by the deadline: {}", why));
      return nullptr;
    }
    changed_.wait_until(lock, std::min(deadline, steady_clock::now() + pause));
    pause = std::min(2 * pause, kLongestPause);
  }
}

// Empty: connected, at least for a moment.
WireEndpoint::Failure WireEndpoint::call(Node to, TimePoint deadline) {
  Failure failure;
  const std::optional<Address> address = look_up(to, failure.why);
  if (!address) {
    return failure;
  }
  const auto session = std::make_shared<Session>(*this, true);
  session->peer = to;
  session->incarnation = address->incarnation;
  try {
    return greet(session, *address, carrier_to(to, *address), deadline);
  } catch (const Error& error) {
    const Lock lock(mutex_);
    sessions_.erase(session);
    return {error.what(), error.kind() == ErrorKind::usage};
  }
}

WireEndpoint::Failure WireEndpoint::greet(const SessionRef& session, const Address& address, Carrier& carrier,
                                          TimePoint deadline) {
  {
    const Lock lock(mutex_);
    sessions_.insert(session);
  }
  const std::shared_ptr<Link> link = carrier.dial(address, session);
  {
    const Lock lock(mutex_);
    if (!session->failure.why.empty()) {  // it has ended already
      return session->failure;
    }
    session->link = link;
  }
  post(session, {.header = encode(hello_of(options_, incarnation_)), .arrays = {}});
  Lock lock(mutex_);
  const auto answered = [&] { return session->stage != Session::Stage::greeting; };
  if (!changed_.wait_until(lock, deadline, answered)) {
    lock.unlock();
    link->cut();
    return {"it has taken the connection, but does not answer", false};
  }
  return session->failure;
}

bool WireEndpoint::knows(Node server) {
  const Lock lock(mutex_);
  return known_.contains(server);
}

std::optional<Address> WireEndpoint::look_up(Node to, std::string& why) {
  try {
    const std::string key = fmt::format("ps/{}/server/{}", options_.generation, to.index);
    // The process that keeps the store may be gone by now: a server that was there once is not worth waiting for it.
    const auto text =
        knows(to) ? std::optional(options_.store->get(key, kAgainFromStore)) : options_.store->try_get(key);
    const auto address = text ? decode_address(*text) : std::nullopt;
    if (address) {
      const Lock lock(mutex_);
      known_[to] = *address;
      return address;
    }
    why = text ? "its entry in the job's store is no address; do all processes run the same build?"
               : "it has not left its address in the job's store; has it started?";
  } catch (const Error& error) {
    why = error.what();
  }
  const Lock lock(mutex_);
  const auto found = known_.find(to);
  return found == known_.end() ? std::nullopt : std::optional(found->second);
}

std::string WireEndpoint::carrier() const {
  return used_shm_ && used_grpc_ ? "shm+grpc" : used_shm_ ? "shm" : used_grpc_ ? "grpc" : "";
}

Carrier& WireEndpoint::carrier_to(Node to, const Address& address) {
  const bool together = !address.shm.empty() && address.host == host_;
  if (shm_ != nullptr && together) {
    used_shm_ = true;
    return *shm_;
  }
  require_usage(options_.carrier != "shm", "wire: carrier shm given, but {} runs on another host; use auto",
                name_of(to));
  if (grpc_ == nullptr) {
    grpc_ = make_grpc_carrier(options_);  // this build has none: says what is missing
  }
  require_usage(!address.grpc.empty(),
                "wire: {} can only be reached by shared memory, from its own host; its build has no gRPC, or it was "
                "told carrier shm",
                name_of(to));
  require_usage(address.tls == options_.tls.given(), "wire: {} is reached {} TLS, and this process has {} certificate",
                name_of(to), address.tls ? "by" : "without", options_.tls.given() ? "a" : "no");
  used_grpc_ = true;
  return *grpc_;
}

}  // namespace trireme::strategies::parameter_server::wire
