#include "trireme/strategies/parameter_server/server/server.h"

#include <algorithm>
#include <utility>

#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server {
namespace {

std::string disagreement(int worker, const Message& hello, int server, const std::string& mine) {
  if (hello.version != kProtocolVersion) {
    return fmt::format(
        "worker {} speaks version {} of the protocol, server {} version {}; run the same build everywhere", worker,
        hello.version, server, kProtocolVersion);
  }
  if (hello.text != mine) {
    return fmt::format(
        "worker {} and server {} were not started alike: '{}' and '{}'; use the same program and options", worker,
        server, hello.text, mine);
  }
  return {};
}

}  // namespace

Server::Server(const Plan& plan, optim::Optimizer& optimizer, const Options& options)
    : plan_(plan),
      options_(options),
      shard_(plan, options.index, optimizer),
      engine_(make_engine(plan, options.index, shard_)),
      ledger_(plan.workers),
      workers_(static_cast<std::size_t>(plan.workers)),
      agreement_(plan.text()) {}

void Server::handle(TimePoint now, Endpoint::Event event, Outbox& out) {
  out_ = &out;
  const int index = event.from.index;
  if (event.kind == Endpoint::Event::Kind::nothing || event.from.role != Role::worker || index < 0 ||
      index >= plan_.workers) {
    return;
  }
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  if (event.kind == Endpoint::Event::Kind::lost) {
    if (ledger_.is_open(index) && !worker.dead_at) {
      worker.dead_at = now + options_.lease;
      worker.lost = event.why;
    }
    return;
  }
  try {
    Request request{index, decode(event.parcel.header), std::move(event.parcel.arrays)};
    if (request.message.kind == Kind::hello) {
      hello(index, request.message);
    } else {
      accept(std::move(request));
    }
  } catch (const Error& error) {
    refuse(index, 0, error.what());
  }
}

void Server::hello(int index, const Message& message) {
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  const std::string wrong = disagreement(index, message, options_.index, agreement_);
  const std::uint64_t before = ledger_.life(index);
  const bool was_open = ledger_.is_open(index);
  if (!wrong.empty() || !ledger_.open(index, message.life)) {
    Message answer{.kind = Kind::refused, .life = message.life, .text = wrong};
    if (wrong.empty()) {
      answer.text = fmt::format("server {}: life {} of worker {} is over ({}); start it again", options_.index,
                                message.life, index, worker.lost.empty() ? "a newer one came" : worker.lost);
    }
    out_->push_back({{Role::worker, index}, {encode(answer), {}}});
    return;
  }
  worker.dead_at.reset();
  worker.death.clear();
  if (ledger_.life(index) != before) {
    worker.early.clear();
    if (was_open) {
      engine_->leave(index, fmt::format("worker {} was restarted", index), *this);
    }
    worker.seen = true;
    worker.lost.clear();
    worker.first_step = engine_->join(index);
  }
  send(index, {.kind = Kind::welcome, .sequence = ledger_.settled(index), .step = worker.first_step}, {});
}

void Server::accept(Request request) {
  const int index = request.worker;
  const Message& message = request.message;
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  switch (ledger_.judge(index, message.life, message.sequence)) {
    case RequestLedger::Verdict::stranger:
    case RequestLedger::Verdict::fenced:
      turn_away(index, message);
      return;
    case RequestLedger::Verdict::duplicate:
      worker.dead_at.reset();
      repeat(request);
      return;
    case RequestLedger::Verdict::early:
      worker.dead_at.reset();
      if (worker.early.size() < kEarlyMax) {  // else it comes again
        const std::uint64_t sequence = message.sequence;
        worker.early.emplace(sequence, std::move(request));
      }
      return;
    case RequestLedger::Verdict::next:
      break;
  }
  worker.dead_at.reset();
  carry_out(request);
  while (ledger_.is_open(index)) {
    const auto next = worker.early.find(ledger_.settled(index) + 1);
    if (next == worker.early.end()) {
      break;
    }
    const Request due = std::move(next->second);
    worker.early.erase(next);
    carry_out(due);
  }
}

void Server::repeat(const Request& request) {
  const Kind kind = request.message.kind;
  if (kind == Kind::goodbye || kind == Kind::assign) {
    send(request.worker, {.kind = Kind::ack, .sequence = request.message.sequence}, {});
    return;
  }
  try {
    engine_->repeat(request, *this);
  } catch (const Error& error) {
    refuse(request.worker, request.message.sequence, error.what());
  }
}

void Server::turn_away(int index, const Message& message) {
  if (message.kind == Kind::goodbye && message.life == ledger_.life(index)) {
    send(index, {.kind = Kind::ack, .sequence = message.sequence}, {});  // the first one was lost
    return;
  }
  Message answer{.kind = Kind::refused, .sequence = message.sequence, .life = message.life};
  answer.text =
      message.life <= ledger_.life(index)
          ? fmt::format("server {}: worker {} is dead for its peers ({}); start it again", options_.index, index,
                        workers_[static_cast<std::size_t>(index)].lost)
          : fmt::format("server {} does not know worker {}: it was restarted without its state", options_.index, index);
  out_->push_back({{Role::worker, index}, {encode(answer), {}}});
}

// A request that cannot be carried out counts as carried out: the worker hears why, and gives up.
void Server::carry_out(const Request& request) {
  ledger_.settle(request.worker);
  if (request.message.kind == Kind::goodbye) {
    send(request.worker, {.kind = Kind::ack, .sequence = request.message.sequence}, {});
    close(request.worker, "");
    return;
  }
  try {
    if (request.message.kind == Kind::assign) {
      assign(request);
    } else {
      engine_->request(request, *this);
    }
  } catch (const Error& error) {
    refuse(request.worker, request.message.sequence, error.what());
  }
}

void Server::assign(const Request& request) {
  for (PushedPart& part : parts_of_push(request, plan_, shard_)) {
    shard_.assign(part.entry.piece, part.gradient.dense);
  }
  send(request.worker, {.kind = Kind::ack, .sequence = request.message.sequence}, {});
}

void Server::close(int index, const std::string& why) {
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  worker.dead_at.reset();
  worker.early.clear();
  worker.lost = why.empty() ? "it has said goodbye" : why;
  worker.death = why;
  ledger_.close(index);
  engine_->leave(index, why, *this);
}

void Server::tick(TimePoint now, Outbox& out) {
  out_ = &out;
  for (int index = 0; index < plan_.workers; ++index) {
    Worker& worker = workers_[static_cast<std::size_t>(index)];
    if (worker.dead_at && *worker.dead_at <= now) {
      close(index, fmt::format("worker {} was lost: {}", index, std::exchange(worker.lost, {})));
    }
  }
}

std::optional<Server::TimePoint> Server::next_tick() const {
  std::optional<TimePoint> next;
  for (const Worker& worker : workers_) {
    if (worker.dead_at) {
      next = std::min(next.value_or(*worker.dead_at), *worker.dead_at);
    }
  }
  return next;
}

const std::string& Server::death_of(int worker) const { return workers_[static_cast<std::size_t>(worker)].death; }

bool Server::finished() const {
  for (int index = 0; index < plan_.workers; ++index) {
    if (ledger_.is_open(index)) {
      return false;
    }
  }
  return !missing();
}

std::optional<int> Server::missing() const {
  for (std::size_t index = 0; index < workers_.size(); ++index) {
    if (!workers_[index].seen) {
      return static_cast<int>(index);
    }
  }
  return std::nullopt;
}

void Server::send(int worker, Message answer, std::vector<Array> arrays) {
  answer.life = ledger_.life(worker);
  out_->push_back({{Role::worker, worker}, {encode(answer), std::move(arrays)}});
}

void Server::refuse(int worker, std::uint64_t sequence, std::string why) {
  send(worker, {.kind = Kind::refused, .sequence = sequence, .text = fmt::format("server {}: {}", options_.index, why)},
       {});
}

}  // namespace trireme::strategies::parameter_server
