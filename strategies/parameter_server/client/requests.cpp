#include "trireme/strategies/parameter_server/client/requests.h"

#include <algorithm>

#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server {
namespace {

using std::chrono::milliseconds;

Endpoint::TimePoint later(Endpoint::TimePoint now, milliseconds first, milliseconds most, int attempts) {
  const int doublings = std::min(attempts - 1, 10);
  return now + std::min(first * (1 << doublings), most);
}

}  // namespace

Requests::Requests(Options options)
    : options_(std::move(options)), servers_(static_cast<std::size_t>(options_.servers)) {}

Requests::TimePoint Requests::again(TimePoint now, int attempts) const {
  return later(now, options_.retry_after, options_.retry_after_max, attempts);
}

void Requests::start(TimePoint now, Outbox& out) {
  for (int server = 0; server < options_.servers; ++server) {
    hello(server, now, out);
  }
}

void Requests::hello(int server, TimePoint now, Outbox& out) {
  Server& to = at(server);
  to.hello_again = later(now, options_.hello_after, options_.hello_after_max, ++to.hellos);
  const Message message{.kind = Kind::hello, .life = options_.life, .text = options_.agreement};
  out.push_back({{Role::server, server}, {encode(message), {}}});
}

std::uint64_t Requests::add(int server, Message message, std::vector<Array> arrays, TimePoint now, Outbox& out) {
  Server& to = at(server);
  message.sequence = ++to.last;
  message.life = options_.life;
  const Pending& pending =
      to.unanswered.emplace(message.sequence, Pending{{encode(message), std::move(arrays)}, again(now, 1)})
          .first->second;
  if (to.welcomed) {
    out.push_back({{Role::server, server}, pending.parcel});
  }
  return message.sequence;
}

std::optional<Requests::Answer> Requests::handle(TimePoint now, Endpoint::Event event, Outbox& out) {
  const int server = event.from.index;
  if (event.kind == Endpoint::Event::Kind::nothing || event.from.role != Role::server || server < 0 ||
      server >= options_.servers) {
    return std::nullopt;
  }
  Server& from = at(server);
  if (event.kind == Endpoint::Event::Kind::lost) {
    from.welcomed = false;
    from.trouble = event.why;
    from.hello_again = later(now, options_.hello_after, options_.hello_after_max, std::max(1, from.hellos));
    return std::nullopt;
  }
  Message message = decode(event.parcel.header);
  if (message.life != options_.life) {
    return std::nullopt;  // meant for an earlier process
  }
  if (message.kind == Kind::refused) {
    from.unanswered.erase(message.sequence);
    throw_error(ErrorKind::failure, std::move(message.text));
  }
  if (message.kind == Kind::welcome) {
    welcome(server, message, now, out);
    return std::nullopt;
  }
  if (from.unanswered.erase(message.sequence) == 0) {
    return std::nullopt;
  }
  from.answered = std::max(from.answered, message.sequence);
  return Answer{server, std::move(message), std::move(event.parcel.arrays)};
}

void Requests::welcome(int server, const Message& message, TimePoint now, Outbox& out) {
  Server& from = at(server);
  if (from.welcomed) {
    return;
  }
  require(message.sequence >= from.answered,
          "server {}: it has carried out {} requests of worker {}, but has answered {}; it was restarted without its "
          "state",
          server, message.sequence, options_.worker, from.answered);
  from.welcomed = true;
  from.first_step = message.step;
  from.hello_again.reset();
  from.hellos = 0;
  from.trouble.clear();
  for (auto& [sequence, pending] : from.unanswered) {
    pending.again = again(now, pending.attempts);
    out.push_back({{Role::server, server}, pending.parcel});
  }
}

void Requests::tick(TimePoint now, Outbox& out) {
  for (int server = 0; server < options_.servers; ++server) {
    Server& to = at(server);
    if (to.hello_again && *to.hello_again <= now) {
      hello(server, now, out);
    }
    for (auto& [sequence, pending] : to.unanswered) {
      if (to.welcomed && pending.again <= now) {
        pending.again = again(now, ++pending.attempts);
        out.push_back({{Role::server, server}, pending.parcel});
      }
    }
  }
}

std::optional<Requests::TimePoint> Requests::next_tick() const {
  std::optional<TimePoint> next;
  const auto consider = [&](TimePoint time) { next = std::min(next.value_or(time), time); };
  for (const Server& server : servers_) {
    if (server.hello_again) {
      consider(*server.hello_again);
    }
    for (const auto& [sequence, pending] : server.unanswered) {
      if (server.welcomed) {
        consider(pending.again);
      }
    }
  }
  return next;
}

}  // namespace trireme::strategies::parameter_server
