#include "trireme/strategies/parameter_server/client/client.h"

#include <algorithm>

#include "trireme/comm/work.h"
#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server {
namespace {

using Time = std::chrono::steady_clock;

// With a server that takes nothing, before looking what is new; longer each time that a connection has not come about,
// for networks that need more.
constexpr std::chrono::milliseconds kPatience{100};
constexpr std::chrono::milliseconds kMostPatience{5000};

comm::CommError error_of(int server, std::string_view operation, const std::string& text, const std::string& cause) {
  return {text, comm::CommError::Details{std::string(operation), 0, fmt::format("server {}", server), {}, cause}};
}

}  // namespace

Client::Client(Endpoint& endpoint, const Plan& plan, const Options& options)
    : endpoint_(endpoint),
      options_(options),
      servers_(plan.servers),
      requests_({.worker = endpoint.self().index,
                 .life = options.life,
                 .servers = plan.servers,
                 .agreement = plan.text(),
                 .retry_after = options.retry_after,
                 .retry_after_max = 4 * options.retry_after}),
      lost_since_(static_cast<std::size_t>(plan.servers)),
      patience_(static_cast<std::size_t>(plan.servers), kPatience) {
  Outbox out;
  requests_.start(Time::now(), out);
  send(out);
  for (int server = 0; server < servers_; ++server) {
    wait_until(server, "hello", [&] { return requests_.welcomed(server); });
  }
  greeted_ = true;
}

std::int64_t Client::first_step() const {
  std::int64_t step = 0;
  for (int server = 0; server < servers_; ++server) {
    step = std::max(step, requests_.first_step(server));
  }
  return step;
}

void Client::send(Outbox& out) {
  for (const Outgoing& outgoing : out) {
    send(outgoing);
  }
  out.clear();
}

// What a server without a connection does not take is sent again after its next welcome.
void Client::send(const Outgoing& outgoing) {
  const int server = outgoing.to.index;
  const TimePoint until = deadline();
  std::chrono::milliseconds& patience = patience_[static_cast<std::size_t>(server)];
  const auto look = [&] { return std::min({until, Time::now() + patience, next_death().value_or(until)}); };
  while (!endpoint_.send(outgoing.to, outgoing.parcel, look())) {
    if (!requests_.welcomed(server)) {
      patience = std::min(2 * patience, kMostPatience);
      return;
    }
    require(Time::now() < until, "parameter server: server {} has taken nothing for {} ms; it hangs or is overloaded",
            server, options_.timeout.count());
    take_in(Time::now());
  }
}

void Client::note_loss(const Endpoint::Event& event) {
  const auto server = static_cast<std::size_t>(event.from.index);
  if (greeted_ && event.kind == Endpoint::Event::Kind::lost && event.from.role == Role::server &&
      server < lost_since_.size() && !lost_since_[server]) {
    lost_since_[server] = Time::now();
  }
}

void Client::note_welcomes() {
  for (int server = 0; server < servers_; ++server) {
    if (requests_.welcomed(server)) {
      patience_[static_cast<std::size_t>(server)] = kPatience;
      lost_since_[static_cast<std::size_t>(server)].reset();
    }
  }
}

std::optional<Client::TimePoint> Client::next_death() const {
  std::optional<TimePoint> next;
  for (const std::optional<TimePoint>& since : lost_since_) {
    if (since) {
      next = std::min(next.value_or(*since + options_.lease), *since + options_.lease);
    }
  }
  return next;
}

void Client::require_living_servers() const {
  for (int server = 0; server < servers_; ++server) {
    const std::optional<TimePoint> since = lost_since_[static_cast<std::size_t>(server)];
    if (since && Time::now() - *since >= options_.lease) {
      const std::string& why = requests_.trouble(server);
      throw error_of(server, "request",
                     fmt::format("parameter server: server {} was lost, with what it held: {}", server, why), why);
    }
  }
}

std::uint64_t Client::request(int server, Message message, std::vector<Array> arrays) {
  Outbox out;
  const std::uint64_t sequence = requests_.add(server, std::move(message), std::move(arrays), Time::now(), out);
  send(out);
  return sequence;
}

std::optional<Client::Answer> Client::handle(Endpoint::Event event, Outbox& out) {
  const Node from = event.from;
  try {
    return requests_.handle(Time::now(), std::move(event), out);
  } catch (const Error& error) {
    if (!greeted_) {
      throw;
    }
    throw error_of(from.index, "request", error.what(), error.what());
  }
}

void Client::take_in(TimePoint until) {
  Outbox out;
  const TimePoint next = std::min(until, requests_.next_tick().value_or(until));
  Endpoint::Event event = endpoint_.receive(next);
  if (event.kind != Endpoint::Event::Kind::nothing) {
    note_loss(event);
    std::optional<Answer> answer = handle(std::move(event), out);
    note_welcomes();
    if (answer && answer->message.kind != Kind::ack) {
      const std::pair key{answer->server, answer->message.sequence};
      answers_.emplace(key, std::move(*answer));
    }
  }
  requests_.tick(Time::now(), out);
  send(out);
}

template <class Done>
void Client::wait_until(int server, std::string_view what, const Done& done) {
  const TimePoint begin = Time::now();
  const TimePoint until = begin + options_.timeout;
  while (!done()) {
    require_living_servers();
    const std::string& trouble = requests_.trouble(server);
    if (Time::now() >= until) {
      const std::string text =
          fmt::format("parameter server: server {} has not answered {} within {} ms{}{}; is it running?", server, what,
                      options_.timeout.count(), trouble.empty() ? "" : ": ", trouble);
      throw error_of(server, what, text, trouble);
    }
    take_in(std::min(until, next_death().value_or(until)));
  }
  time_waiting_ += Time::now() - begin;
}

Client::Answer Client::wait(int server, std::uint64_t sequence) {
  const std::pair key{server, sequence};
  wait_until(server, "a request", [&] { return answers_.contains(key); });
  return std::move(answers_.extract(key).mapped());
}

void Client::wait_for_all(int server) {
  wait_until(server, "its pushes", [&] { return requests_.unanswered(server) == 0; });
}

void Client::goodbye() {
  for (int server = 0; server < servers_; ++server) {
    request(server, {.kind = Kind::goodbye}, {});
  }
  for (int server = 0; server < servers_; ++server) {
    wait_for_all(server);
  }
}

}  // namespace trireme::strategies::parameter_server
