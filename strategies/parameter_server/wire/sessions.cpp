// What a WireEndpoint makes of its connections' news. Runs on threads of the carriers: nothing here blocks, and links
// are called without the mutex, for they call back.
#include "trireme/core/base/error.h"
#include "trireme/strategies/parameter_server/wire/greeting.h"
#include "trireme/strategies/parameter_server/wire/parcel_body.h"
#include "trireme/strategies/parameter_server/wire/wire_endpoint.h"

namespace trireme::strategies::parameter_server::wire {

void WireEndpoint::Session::on_parcel(Parcel parcel) {
  if (stage == Stage::greeting) {
    called_ ? owner_.on_answer(shared_from_this(), parcel) : owner_.on_hello(shared_from_this(), parcel);
    return;
  }
  const std::size_t bytes = bytes_of(parcel);
  const Lock lock(owner_.mutex_);
  if (stage == Stage::open) {
    owner_.moved_ += bytes;
    unread += bytes;
    owner_.arrivals_.push_back(
        {{.kind = Event::Kind::parcel, .from = peer, .parcel = std::move(parcel)}, shared_from_this(), bytes});
    owner_.arrived_.notify_one();
  }
}

bool WireEndpoint::Session::wants_more() {
  const Lock lock(owner_.mutex_);
  paused = stage == Stage::open && unread > owner_.options_.window;
  return !paused;
}

void WireEndpoint::Session::on_left(std::size_t bytes) {
  const Lock lock(owner_.mutex_);
  waiting -= bytes;
  owner_.changed_.notify_all();
}

void WireEndpoint::Session::on_end(const std::string& why) {
  std::shared_ptr<Link> ended;
  const Lock lock(owner_.mutex_);
  ended.swap(link);
  if (stage == Stage::open) {
    owner_.push_lost(peer, why);
    if (const auto found = owner_.current_.find(peer); found != owner_.current_.end() && found->second.get() == this) {
      owner_.current_.erase(found);
    }
  } else if (failure.why.empty()) {
    failure = {why, false};
  }
  stage = Stage::ended;
  owner_.sessions_.erase(shared_from_this());
  owner_.changed_.notify_all();
}

void WireEndpoint::push_lost(Node from, const std::string& why) {
  Event event{.kind = Event::Kind::lost, .from = from};
  event.why = why == kHasLeft ? fmt::format("{} {}", name_of(from), why) : fmt::format("{}: {}", name_of(from), why);
  arrivals_.push_back({std::move(event), nullptr, 0});
  arrived_.notify_one();
}

void WireEndpoint::post(const SessionRef& session, Parcel parcel) {
  const std::size_t bytes = bytes_of(parcel);
  std::shared_ptr<Link> link;
  {
    const Lock lock(mutex_);
    link = session->link;
    session->waiting += bytes;
  }
  if (link != nullptr) {
    link->send(std::move(parcel));
  }
}

// The session is the way to its peer from here on. The one before it, if there is one, has ended without telling.
void WireEndpoint::install(const SessionRef& session, std::shared_ptr<Link>& replaced) {
  SessionRef& current = current_[session->peer];
  if (current != nullptr) {
    push_lost(session->peer, "it has called anew");
    current->stage = Session::Stage::ended;
    replaced = current->link;
  }
  current = session;
  session->stage = Session::Stage::open;
  changed_.notify_all();
}

// Two servers may call each other at the same time: then the call of the one with the lower index counts.
bool WireEndpoint::calls_cross(const Hello& caller) const {
  if (caller.node.role != Role::server || options_.self.role != Role::server ||
      options_.self.index > caller.node.index) {
    return false;
  }
  const auto found = current_.find(caller.node);
  const bool has_called =
      found != current_.end() && found->second->called() && found->second->incarnation == caller.incarnation;
  return has_called || calling_.contains(caller.node);
}

void WireEndpoint::refuse(const SessionRef& session, const std::string& why, bool crossing) {
  std::shared_ptr<Link> link;
  {
    const Lock lock(mutex_);
    link = session->link;
  }
  post(session, {.header = encode(Answer{options_.protocol, why, crossing}), .arrays = {}});
  if (link != nullptr) {
    link->leave();
  }
}

void WireEndpoint::on_hello(const SessionRef& session, const Parcel& parcel) {
  const std::optional<Hello> hello = decode_hello(parcel.header);
  require(hello.has_value(), "wire: a connection began with {} bytes that are no greeting", parcel.header.size());
  const std::string why = refusal_of(*hello, options_);
  bool crossing = false;
  {
    const Lock lock(mutex_);
    session->peer = hello->node;
    crossing = why.empty() && calls_cross(*hello);
  }
  if (!why.empty() || crossing) {
    refuse(session, crossing ? "both servers have called" : why, crossing);
    return;
  }
  post(session, {.header = encode(Answer{options_.protocol, "", false}), .arrays = {}});
  std::shared_ptr<Link> replaced;
  {
    const Lock lock(mutex_);
    if (session->link != nullptr) {
      install(session, replaced);
    }
  }
  if (replaced != nullptr) {
    replaced->cut();
  }
}

void WireEndpoint::on_answer(const SessionRef& session, const Parcel& parcel) {
  const std::optional<Answer> answer = decode_answer(parcel.header);
  require(answer.has_value(), "wire: a call was answered with {} bytes that are no answer", parcel.header.size());
  const std::string why = refusal_of(*answer, session->peer, options_);
  std::shared_ptr<Link> unwanted;
  {
    const Lock lock(mutex_);
    if (why.empty() && session->link != nullptr) {
      install(session, unwanted);
    } else {
      session->failure = {why, !answer->crossing};
      session->stage = Session::Stage::ended;
      unwanted = session->link;
      changed_.notify_all();
    }
  }
  if (unwanted != nullptr) {
    unwanted->cut();
  }
}

}  // namespace trireme::strategies::parameter_server::wire
