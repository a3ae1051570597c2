#include "tests/strategies/parameter_server/simulation.h"

#include <algorithm>
#include <ranges>

#include "trireme/core/base/error.h"

namespace trireme::strategies::parameter_server {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kRetry{10};
constexpr milliseconds kLease{60};

Plan plan_of(const SimulationOptions& options) {
  Plan plan = Plan::make({{.name = "seen", .shape = {options.servers, 2 * options.workers}}}, options.servers,
                         options.workers, sharding::FixedShards{options.servers});
  plan.consistency = options.staleness ? Consistency::ssp : Consistency::async;
  plan.staleness = options.staleness.value_or(0);
  return plan;
}

}  // namespace

Simulation::Simulation(const SimulationOptions& options)
    : options_(options),
      random_(options.seed, "simulation"),
      plan_(plan_of(options)),
      network_(options.seed, options.faults),
      workers_(static_cast<std::size_t>(options.workers)),
      servers_(static_cast<std::size_t>(options.servers)) {
  for (int index = 0; index < options.servers; ++index) {
    Shard& shard = servers_[static_cast<std::size_t>(index)];
    shard.living.assign(static_cast<std::size_t>(options.workers), false);
    shard.lost_at.resize(static_cast<std::size_t>(options.workers));
    shard.optimizer = std::make_unique<optim::SGD>(optim::SGDOptions{.lr = 1});
    shard.server = std::make_unique<Server>(plan_, *shard.optimizer, Server::Options{.index = index, .lease = kLease});
  }
}

void Simulation::record(Record::Kind kind, int worker, int server, std::int64_t step, std::vector<float> values) {
  history_.push_back({kind, worker, server, step, std::move(values)});
}

void Simulation::send(Node from, Outbox& out) {
  for (Outgoing& outgoing : out) {
    network_.send(now_, from, std::move(outgoing));
  }
  out.clear();
}

void Simulation::start(int index) {
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  const std::uint64_t life = worker.life + 1;
  worker = {};
  worker.life = life;
  worker.requests = std::make_unique<Requests>(Requests::Options{.worker = index,
                                                                 .life = life,
                                                                 .servers = options_.servers,
                                                                 .agreement = plan_.text(),
                                                                 .retry_after = kRetry,
                                                                 .retry_after_max = 4 * kRetry,
                                                                 .hello_after = kRetry,
                                                                 .hello_after_max = 4 * kRetry});
  Outbox out;
  worker.requests->start(now_, out);
  send({Role::worker, index}, out);
}

// Comes back after a while, unless it is one of the few that never do.
void Simulation::die(int index, bool refused) {
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  record(Record::Kind::died, index, 0, worker.step);
  worker.requests.reset();
  worker.step = -1;
  ++deaths_;
  for (int server = 0; server < options_.servers; ++server) {
    network_.lose(now_, {Role::worker, index}, {Role::server, server}, "killed");
  }
  worker.done = !refused && draw() < 0.2;
  worker.wakes = worker.done ? std::nullopt : std::optional(now_ + milliseconds(static_cast<int>(150 * draw())));
}

void Simulation::begin_if_welcomed(int index, Outbox& out) {
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  std::int64_t first = 0;
  for (int server = 0; server < options_.servers; ++server) {
    if (!worker.requests->welcomed(server)) {
      return;
    }
    first = std::max(first, worker.requests->first_step(server));
  }
  worker.step = first;
  record(Record::Kind::began, index, 0, first);
  if (first >= options_.steps) {
    think(index);
    return;
  }
  for (int server = 0; server < options_.servers; ++server) {
    pull(index, server, out);
  }
}

void Simulation::think(int index) {
  if (options_.compute.count() > 0) {
    workers_[static_cast<std::size_t>(index)].wakes = now_ + options_.compute * (draw() < 0.2 ? 3 : 1);
    return;
  }
  workers_[static_cast<std::size_t>(index)].wakes =
      now_ + std::chrono::microseconds(static_cast<int>(draw() < 0.1 ? 20000 * draw() : 1000 * draw()));
}

std::uint64_t Simulation::add(int index, int server, Message message, std::vector<Array> arrays, Outbox& out) {
  Outbox kept;
  const bool sent = options_.tamper == nullptr || options_.tamper(message);
  return workers_[static_cast<std::size_t>(index)].requests->add(server, std::move(message), std::move(arrays), now_,
                                                                 sent ? out : kept);
}

void Simulation::pull(int index, int server, Outbox& out) {
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  record(Record::Kind::asked, index, server, worker.step);
  const std::uint64_t sequence =
      add(index, server, {.kind = Kind::pull, .step = worker.step, .entries = {{.piece = server}}}, {}, out);
  worker.reads[{server, sequence}] = worker.step;
}

void Simulation::push(int index, int server, Outbox& out) {
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  std::vector<float> gradient(static_cast<std::size_t>(2 * options_.workers), 0);
  gradient[static_cast<std::size_t>(2 * index)] = -1;
  gradient[static_cast<std::size_t>(2 * index + 1)] = static_cast<float>(-weight_of(index, worker.step));
  record(Record::Kind::pushed, index, server, worker.step);
  const bool both = options_.push_pull && worker.step + 1 < options_.steps;
  if (both) {
    record(Record::Kind::asked, index, server, worker.step + 1);
  }
  const std::uint64_t sequence = add(index, server,
                                     {.kind = both ? Kind::push_pull : Kind::push,
                                      .step = worker.step,
                                      .learning_rate = 1,
                                      .entries = {{.piece = server}}},
                                     {Array::from(gradient, {2 * options_.workers})}, out);
  worker.pushes[{server, sequence}] = worker.step;
  if (both) {
    worker.reads[{server, sequence}] = worker.step + 1;
  }
}

// Values are here, and the gradient is made: pushes it, and asks for the next values; or goes.
void Simulation::act(int index, Outbox& out) {
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  if (worker.step < options_.steps) {
    for (int server = 0; server < options_.servers; ++server) {
      push(index, server, out);
    }
    ++worker.step;
  }
  for (int server = 0; server < options_.servers; ++server) {
    if (worker.step >= options_.steps) {
      worker.leaving = true;
      worker.requests->add(server, {.kind = Kind::goodbye}, {}, now_, out);
    } else if (!options_.push_pull) {
      pull(index, server, out);
    }
  }
}

void Simulation::take(int index, const Requests::Answer& answer) {
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  const std::pair key{answer.server, answer.message.sequence};
  if (const auto pushed = worker.pushes.extract(key)) {
    record(Record::Kind::acked, index, answer.server, pushed.mapped());
    ++operations_;
  }
  if (const auto read = worker.reads.extract(key)) {
    record(Record::Kind::read, index, answer.server, read.mapped(), answer.arrays.at(0).to_vector<float>());
    ++operations_;
    if (worker.reads.empty()) {
      think(index);
    }
  }
  const bool all = std::ranges::all_of(std::views::iota(0, options_.servers),
                                       [&](int server) { return worker.requests->unanswered(server) == 0; });
  if (worker.leaving && all) {
    record(Record::Kind::ended, index, 0, worker.step);
    worker.requests.reset();
    worker.done = true;
  }
}

void Simulation::deliver_to_server(SimulatedNetwork::Arrival arrival) {
  Outbox out;
  Shard& shard = servers_[static_cast<std::size_t>(arrival.to.index)];
  std::optional<TimePoint>& lost_at = shard.lost_at[static_cast<std::size_t>(arrival.event.from.index)];
  lost_at = arrival.event.kind == Endpoint::Event::Kind::lost ? std::optional(lost_at.value_or(now_)) : std::nullopt;
  shard.server->handle(now_, std::move(arrival.event), out);
  send(arrival.to, out);
}

// A worker may only be counted as dead once its connection was lost and it has kept silent for the lease.
void Simulation::watch_deaths(int index) {
  Shard& shard = servers_[static_cast<std::size_t>(index)];
  for (int worker = 0; worker < options_.workers; ++worker) {
    const auto w = static_cast<std::size_t>(worker);
    const bool living = shard.server->is_living(worker);
    if (shard.living[w] && !living && !workers_[w].leaving && !workers_[w].done) {
      require(shard.lost_at[w] && *shard.lost_at[w] + kLease <= now_, "server {} has buried worker {} alive", index,
              worker);
      record(Record::Kind::buried, worker, index, 0);
    }
    if (!shard.living[w] && living) {
      record(Record::Kind::joined, worker, index, 0);
    }
    shard.living[w] = living;
  }
}

void Simulation::deliver(SimulatedNetwork::Arrival arrival) {
  if (arrival.to.role == Role::server) {
    deliver_to_server(std::move(arrival));
    return;
  }
  Outbox out;
  const int index = arrival.to.index;
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  if (worker.requests == nullptr) {
    return;
  }
  try {
    const auto answer = worker.requests->handle(now_, std::move(arrival.event), out);
    if (worker.step < 0) {
      begin_if_welcomed(index, out);
    }
    if (answer) {
      take(index, *answer);
    }
  } catch (const Error&) {  // refused: it was taken for dead
    die(index, true);
  }
  send(arrival.to, out);
}

void Simulation::wake(int index) {
  Worker& worker = workers_[static_cast<std::size_t>(index)];
  Outbox out;
  if (worker.requests == nullptr && !worker.done && worker.wakes && *worker.wakes <= now_) {
    start(index);
    return;
  }
  if (worker.requests != nullptr && worker.wakes && *worker.wakes <= now_) {
    worker.wakes.reset();
    if (draw() < options_.kill) {
      die(index, false);
      return;
    }
    act(index, out);
  }
  if (worker.requests != nullptr) {
    worker.requests->tick(now_, out);
  }
  send({Role::worker, index}, out);
}

Simulation::TimePoint Simulation::next_time() const {
  TimePoint next = TimePoint::max();
  const auto consider = [&](std::optional<TimePoint> time) { next = std::min(next, time.value_or(next)); };
  consider(network_.next());
  for (const Worker& worker : workers_) {
    consider(worker.wakes);
    consider(worker.requests != nullptr ? worker.requests->next_tick() : std::nullopt);
  }
  for (const Shard& shard : servers_) {
    consider(shard.server->next_tick());
  }
  return next;
}

bool Simulation::over() const {
  return std::ranges::all_of(workers_, [](const Worker& worker) { return worker.done; });
}

void Simulation::run() {
  for (int index = 0; index < options_.workers; ++index) {
    workers_[static_cast<std::size_t>(index)].wakes = now_;
  }
  const TimePoint limit = now_ + std::chrono::minutes(10);
  while (!over()) {
    now_ = next_time();
    require(now_ < limit, "simulation {}: somebody waits for ever", options_.seed);
    if (network_.next() == now_) {
      deliver(network_.take());
    }
    for (int index = 0; index < options_.workers; ++index) {
      wake(index);
    }
    for (int index = 0; index < options_.servers; ++index) {
      Outbox out;
      servers_[static_cast<std::size_t>(index)].server->tick(now_, out);
      watch_deaths(index);
      send({Role::server, index}, out);
    }
  }
  read_all();
}

void Simulation::read_all() {
  for (int index = 0; index < options_.servers; ++index) {
    const Server& server = *servers_[static_cast<std::size_t>(index)].server;
    record(Record::Kind::asked, 0, index, 0);
    record(Record::Kind::read, 0, index, 0, server.shard().values(index).to_vector<float>());
  }
}

}  // namespace trireme::strategies::parameter_server
