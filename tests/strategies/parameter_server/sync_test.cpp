// Synchronous steps through servers under every fault of the network, and when a worker dies in the middle of one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "tests/strategies/parameter_server/network.h"
#include "tests/support/error_of.h"
#include "trireme/core/optim/sgd.h"
#include "trireme/strategies/parameter_server/client/requests.h"
#include "trireme/strategies/parameter_server/plan.h"
#include "trireme/strategies/parameter_server/server/server.h"

namespace trireme::strategies::parameter_server {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr std::int64_t kLanes = 5;
constexpr std::int64_t kSteps = 6;
constexpr BatchSplit kSplit{kLanes, 1, kLanes};
constexpr std::int64_t kElements = 12;

std::vector<float> lane_gradient(std::int64_t step, std::int64_t lane) {
  std::vector<float> values(kElements);
  RandomStream(7, "gradient", static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(lane))
      .fill_normal(0, values);
  return values;
}

// The sum of a node's lanes, left + right.
std::vector<float> part_of(std::int64_t step, Subtree node) {
  if (node.size() == 1) {
    return lane_gradient(step, node.begin);
  }
  std::vector<float> left = part_of(step, {node.begin, split_point(node)});
  const std::vector<float> right = part_of(step, {split_point(node), node.end});
  for (std::size_t i = 0; i < left.size(); ++i) {
    left[i] += right[i];
  }
  return left;
}

Plan make_plan(int servers, int workers) {
  Plan plan = Plan::make({{.name = "w", .shape = {kElements}, .init = nn::Init::normal(0, 1)}}, servers, workers,
                         sharding::FixedShards{servers});
  plan.seed = 3;
  return plan;
}

// One process that does it all.
std::vector<float> expected_values(std::int64_t steps) {
  const Array values = Array::empty({kElements});
  nn::Init::normal(0, 1).fill(3, "w", 0, values);
  optim::SGD sgd({.lr = 0.5, .momentum = 0.9});
  sgd.attach({{"w", {kElements}, 0, false, values, {}}});
  for (std::int64_t step = 0; step < steps; ++step) {
    sgd.set_learning_rate(0.5);
    sgd.update({Array::from(part_of(step, {0, kLanes}), {kElements})}, 0.25);
  }
  return values.to_vector<float>();
}

// Workers that do nothing but follow the protocol, step by step: push, then reduce, then apply on every server.
class SyncJob {
 public:
  SyncJob(std::uint64_t seed, int servers, int workers, const Faults& faults)
      : plan_(make_plan(servers, workers)), network_(seed, faults) {
    for (int index = 0; index < servers; ++index) {
      optimizers_.push_back(std::make_unique<optim::SGD>(optim::SGDOptions{.lr = 0.5, .momentum = 0.9}));
      servers_.push_back(std::make_unique<Server>(plan_, *optimizers_.back(), Server::Options{.index = index}));
    }
    workers_.resize(static_cast<std::size_t>(workers));
    for (int index = 0; index < workers; ++index) {
      start(index, 1);
    }
  }

  void start(int index, std::uint64_t life) {
    Worker& worker = workers_[static_cast<std::size_t>(index)];
    worker = {};
    worker.requests = std::make_unique<Requests>(Requests::Options{.worker = index,
                                                                   .life = life,
                                                                   .servers = plan_.servers,
                                                                   .agreement = plan_.text(),
                                                                   .retry_after = milliseconds(10),
                                                                   .retry_after_max = milliseconds(40),
                                                                   .hello_after = milliseconds(10)});
    Outbox out;
    worker.requests->start(now_, out);
    send({Role::worker, index}, out);
  }
  void kill(int index) {
    workers_[static_cast<std::size_t>(index)].requests.reset();
    for (int server = 0; server < plan_.servers; ++server) {
      network_.lose(now_, {Role::worker, index}, {Role::server, server}, "killed by SIGKILL");
    }
  }
  // Gives the worker the lanes of this place among so many, for its present step.
  void give_lanes(int index, int place, int size) {
    Worker& worker = workers_[static_cast<std::size_t>(index)];
    worker.place = place;
    worker.size = size;
    worker.stage = 0;
    worker.waits.clear();
    worker.complaint.clear();
  }

  // Until all that live are through, or one hears of a death, or nothing happens any more.
  void run(std::int64_t steps) {
    const Endpoint::TimePoint limit = now_ + std::chrono::seconds(120);
    while (now_ < limit && !over(steps)) {
      for (std::size_t index = 0; index < workers_.size(); ++index) {
        act(static_cast<int>(index), steps);
      }
      now_ = next_time(limit);
      if (network_.next() == now_) {
        deliver(network_.take());
      }
      tick();
    }
  }

  std::string complaint(int index) const { return workers_[static_cast<std::size_t>(index)].complaint; }
  std::int64_t step(int index) const { return workers_[static_cast<std::size_t>(index)].step; }
  std::vector<float> values() const {
    std::vector<float> all;
    for (const auto& server : servers_) {
      for (const int piece : server->shard().pieces()) {
        const std::vector<float> piece_values = server->shard().values(piece).to_vector<float>();
        all.insert(all.end(), piece_values.begin(), piece_values.end());
      }
    }
    return all;
  }

 private:
  struct Worker {
    std::unique_ptr<Requests> requests;
    std::int64_t step = 0;
    int stage = 0;  // 0: to push, 1: to reduce, 2: to apply
    int place = -1;
    int size = 0;
    std::map<std::pair<int, std::uint64_t>, bool> waits;
    std::string complaint;
  };

  bool over(std::int64_t steps) const {
    return std::ranges::all_of(workers_, [&](const Worker& worker) {
      return worker.requests == nullptr || worker.step >= steps || !worker.complaint.empty();
    });
  }

  void act(int index, std::int64_t steps) {
    Worker& worker = workers_[static_cast<std::size_t>(index)];
    if (worker.requests == nullptr || worker.step >= steps || !worker.complaint.empty() || !worker.waits.empty()) {
      return;
    }
    Outbox out;
    const int place = worker.place < 0 ? index : worker.place;
    const int size = worker.place < 0 ? plan_.workers : worker.size;
    for (int server = 0; server < plan_.servers; ++server) {
      Message message{.kind = worker.stage == 1 ? Kind::reduce : Kind::apply, .step = worker.step, .split = kSplit};
      std::vector<Array> arrays;
      if (worker.stage == 0) {
        message.kind = Kind::push;
        for (const Subtree part : kSplit.parts_of(place, size)) {
          const sharding::RowRange rows = plan_.pieces[static_cast<std::size_t>(server)].rows;
          message.entries.push_back({.piece = server, .part = part});
          arrays.push_back(
              Array::from(part_of(worker.step, part), {kElements}).narrow(0, rows.begin, rows.size()).clone());
        }
      } else if (worker.stage == 2) {
        message.learning_rate = 0.5;
        message.factor = 0.25;
        message.entries.push_back({.piece = server});
      }
      worker.waits[{server, worker.requests->add(server, std::move(message), std::move(arrays), now_, out)}] = true;
    }
    send({Role::worker, index}, out);
  }

  void deliver(SimulatedNetwork::Arrival arrival) {
    Outbox out;
    if (arrival.to.role == Role::server) {
      servers_[static_cast<std::size_t>(arrival.to.index)]->handle(now_, std::move(arrival.event), out);
      send(arrival.to, out);
      return;
    }
    Worker& worker = workers_[static_cast<std::size_t>(arrival.to.index)];
    if (worker.requests == nullptr) {
      return;
    }
    worker.complaint += [&]() -> std::string {
      try {
        const auto answer = worker.requests->handle(now_, std::move(arrival.event), out);
        if (answer && worker.waits.erase({answer->server, answer->message.sequence}) > 0 && worker.waits.empty()) {
          worker.step += worker.stage == 2 ? 1 : 0;
          worker.stage = (worker.stage + 1) % 3;
        }
        return {};
      } catch (const Error& error) {
        return error.what();
      }
    }();
    send(arrival.to, out);
  }

  void tick() {
    for (std::size_t index = 0; index < workers_.size(); ++index) {
      if (workers_[index].requests != nullptr) {
        Outbox out;
        workers_[index].requests->tick(now_, out);
        send({Role::worker, static_cast<int>(index)}, out);
      }
    }
    for (std::size_t index = 0; index < servers_.size(); ++index) {
      Outbox out;
      servers_[index]->tick(now_, out);
      send({Role::server, static_cast<int>(index)}, out);
    }
  }

  Endpoint::TimePoint next_time(Endpoint::TimePoint limit) const {
    Endpoint::TimePoint next = network_.next().value_or(limit);
    for (const Worker& worker : workers_) {
      next = std::min(next, worker.requests ? worker.requests->next_tick().value_or(limit) : limit);
    }
    for (const auto& server : servers_) {
      next = std::min(next, server->next_tick().value_or(limit));
    }
    return next;
  }

  void send(Node from, Outbox& out) {
    for (Outgoing& outgoing : out) {
      network_.send(now_, from, std::move(outgoing));
    }
  }

  Plan plan_;
  SimulatedNetwork network_;
  Endpoint::TimePoint now_{};
  std::vector<std::unique_ptr<optim::SGD>> optimizers_;
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<Worker> workers_;
};

TEST(SyncSteps, HaveTheBitsOfOneProcessUnderLossDuplicationReorderingAndPartition) {
  const std::vector<float> expected = expected_values(kSteps);
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SyncJob job(seed, 1 + static_cast<int>(seed % 3), 1 + static_cast<int>(seed / 3 % 4), {});
    job.run(kSteps);
    ASSERT_EQ(job.values(), expected) << "seed " << seed;
  }
}

TEST(SyncSteps, ADeathIsToldByNameAndTheStepIsDoneAgainByTheLivingWithTheSameBits) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SyncJob job(seed, 2, 3, {.cut = 0});
    job.run(2);
    job.kill(1);
    job.run(kSteps);
    EXPECT_THAT(job.complaint(0), HasSubstr("worker 1 was lost: killed by SIGKILL")) << "seed " << seed;
    EXPECT_THAT(job.complaint(2), HasSubstr("worker 1 was lost: killed by SIGKILL")) << "seed " << seed;
    // Every server tells; a worker that listens to one of them may hear of the same death again.
    for (int round = 0; round < 12 && (job.step(0) < kSteps || job.step(2) < kSteps); ++round) {
      job.give_lanes(0, 0, 2);
      job.give_lanes(2, 1, 2);
      job.run(kSteps);
    }
    ASSERT_EQ(job.values(), expected_values(kSteps)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace trireme::strategies::parameter_server
