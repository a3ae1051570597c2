#include "trireme/strategies/parameter_server/wire/wire_endpoint.h"

#include <random>

#include "trireme/core/base/error.h"
#include "trireme/strategies/parameter_server/wire/grpc/grpc_carrier.h"
#include "trireme/strategies/parameter_server/wire/parcel_body.h"
#include "trireme/strategies/parameter_server/wire/shm/shm_carrier.h"

namespace trireme::strategies::parameter_server {
namespace wire {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kFarewellGrace(1000);   // in which something of what is queued must leave, else the rest is lost
constexpr int kFarewellGraces = 10;            // at most
constexpr milliseconds kGreetingGrace(10000);  // for a caller to say who it is

std::uint64_t random_number() {
  std::random_device random;
  return std::uint64_t{random()} << 32 | random();
}

void check_options(const WireOptions& options) {
  const Node self = options.self;
  const int count = self.role == Role::worker ? options.workers : options.servers;
  require_usage(self.index >= 0 && self.index < count, "wire: {} given of {} workers and {} servers", name_of(self),
                options.workers, options.servers);
  require_usage(options.carrier == "auto" || options.carrier == "shm" || options.carrier == "grpc",
                "wire: carrier \"{}\" given, auto, shm or grpc expected", options.carrier);
  require_usage(options.store != nullptr, "wire: no store given");
  const TlsFiles& tls = options.tls;
  require_usage(!tls.given() || !(tls.certificate.empty() || tls.key.empty() || tls.authority.empty()),
                "wire: TLS needs three files: the certificate \"{}\", its key \"{}\" and the authority's certificate "
                "\"{}\" are given",
                tls.certificate, tls.key, tls.authority);
}

}  // namespace

WireEndpoint::WireEndpoint(const WireOptions& options)
    : options_(options), incarnation_(random_number()), host_(identity_of_host()) {
  check_options(options);
  if (options.carrier != "grpc") {
    shm_ = make_shm_carrier();
  }
  if (options.carrier == "grpc" || (options.carrier == "auto" && has_grpc())) {
    grpc_ = make_grpc_carrier(options);
  }
  if (options.self.role == Role::server) {
    listen();
  }
}

WireEndpoint::~WireEndpoint() {
  std::set<SessionRef> sessions;
  {
    const Lock lock(mutex_);
    sessions = sessions_;
  }
  const auto each_link = [&](auto&& act) {
    for (const SessionRef& session : sessions) {
      Lock lock(mutex_);
      const std::shared_ptr<Link> link = session->link;
      lock.unlock();
      if (link != nullptr) {
        act(*session, *link);
      }
    }
  };
  each_link([](Session& session, Link& link) { session.stage == Session::Stage::open ? link.leave() : link.cut(); });
  wait_for_farewells();
  each_link([](Session&, Link& link) { link.cut(); });
  shm_.reset();
  grpc_.reset();
}

void WireEndpoint::wait_for_farewells() {
  Lock lock(mutex_);
  const auto queued = [&] {
    std::size_t bytes = 0;
    for (const SessionRef& session : sessions_) {
      bytes += session->waiting;
    }
    return bytes;
  };
  std::size_t before = SIZE_MAX;
  for (int i = 0; i < kFarewellGraces && queued() < before; ++i) {
    before = queued();
    if (changed_.wait_until(lock, steady_clock::now() + kFarewellGrace, [&] { return sessions_.empty(); })) {
      return;
    }
  }
}

void WireEndpoint::listen() {
  Address address{.incarnation = incarnation_};
  for (Carrier* const carrier : {shm_.get(), grpc_.get()}) {
    if (carrier != nullptr) {
      carrier->listen(address, [this](const std::shared_ptr<Link>& link) { return accept(link); });
    }
  }
  options_.store->set(fmt::format("ps/{}/server/{}", options_.generation, options_.self.index), encode(address));
}

std::shared_ptr<LinkHandler> WireEndpoint::accept(const std::shared_ptr<Link>& link) {
  const auto session = std::make_shared<Session>(*this, false);
  std::vector<std::shared_ptr<Link>> silent;
  {
    const Lock lock(mutex_);
    session->link = link;
    for (const SessionRef& other : sessions_) {
      if (other->stage == Session::Stage::greeting && steady_clock::now() - other->since > kGreetingGrace) {
        silent.push_back(other->link);
      }
    }
    sessions_.insert(session);
  }
  for (const auto& stranger : silent) {
    stranger->cut();
  }
  return session;
}

void WireEndpoint::check(Node to, const Parcel& parcel) const {
  const int count = to.role == Role::worker ? options_.workers : options_.servers;
  require(to.index >= 0 && to.index < count && to != options_.self,
          "wire: {} cannot send to {}: the job has {} workers and {} servers", name_of(options_.self), name_of(to),
          options_.workers, options_.servers);
  require(to.role == Role::server || options_.self.role == Role::server,
          "wire: {} cannot send to {}: workers speak to servers only", name_of(options_.self), name_of(to));
  require(parcel.header.size() <= kMaxHeaderBytes && parcel.arrays.size() <= kMaxArrays,
          "wire: a parcel with a header of {} bytes and {} arrays given, at most {} and {} expected",
          parcel.header.size(), parcel.arrays.size(), kMaxHeaderBytes, kMaxArrays);
  for (const Array& array : parcel.arrays) {
    require(array.is_contiguous() && (array.has_data() || array.bytes() == 0),
            "wire: {} given, contiguous arrays with elements expected; call contiguous() first", array);
  }
}

bool WireEndpoint::send(Node to, Parcel parcel, TimePoint deadline) {
  check(to, parcel);
  Lock lock(mutex_);
  const SessionRef session = connected(to, deadline, lock);
  if (session == nullptr) {
    return to.role == Role::worker;  // which has not called: lost on the way
  }
  const auto has_room = [&] { return session->waiting <= options_.window || session->link == nullptr; };
  if (!changed_.wait_until(lock, deadline, has_room)) {
    return false;
  }
  moved_ += bytes_of(parcel);
  lock.unlock();
  post(session, std::move(parcel));
  return true;
}

Endpoint::Event WireEndpoint::receive(TimePoint deadline) {
  Arrival arrival;
  std::shared_ptr<Link> link;
  {
    Lock lock(mutex_);
    if (!arrived_.wait_until(lock, deadline, [&] { return !arrivals_.empty(); })) {
      return {};
    }
    arrival = std::move(arrivals_.front());
    arrivals_.pop_front();
    if (const SessionRef& session = arrival.session) {
      session->unread -= arrival.bytes;
      if (session->paused && session->unread <= options_.window / 2) {
        session->paused = false;
        link = session->link;
      }
    }
  }
  if (link != nullptr) {
    link->read_on();
  }
  return std::move(arrival.event);
}

}  // namespace wire

std::unique_ptr<Endpoint> open_wire(const WireOptions& options) {
  return std::make_unique<wire::WireEndpoint>(options);
}

}  // namespace trireme::strategies::parameter_server
