// A job of workers and servers in one thread on virtual time: the product's state machines over a network with faults.
// Workers push and read as training does, and die and come back; what they saw is recorded.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>

#include "tests/strategies/parameter_server/history.h"
#include "tests/strategies/parameter_server/network.h"
#include "trireme/core/optim/sgd.h"
#include "trireme/strategies/parameter_server/client/requests.h"
#include "trireme/strategies/parameter_server/plan.h"
#include "trireme/strategies/parameter_server/server/server.h"

namespace trireme::strategies::parameter_server {

struct SimulationOptions {
  std::uint64_t seed = 0;
  int workers = 3;
  int servers = 2;
  std::int64_t steps = 30;
  std::optional<std::int64_t> staleness = 2;
  bool push_pull = false;  // one request instead of two
  double kill = 0.01;      // a worker dies when it would think; it comes back, mostly
  // A step's computation takes so long, three times that for one in five; 0: a millisecond or so, rarely twenty.
  std::chrono::milliseconds compute{0};
  Faults faults = {};
  // Changes a worker's message before it is sent, and tells whether to send it: to plant bugs.
  std::function<bool(Message&)> tamper = nullptr;
};

class Simulation {
 public:
  explicit Simulation(const SimulationOptions& options);

  // Until every worker is done; then what the servers hold is recorded as a last read. Raises Error if virtual minutes
  // go by without that: somebody waits for ever.
  void run();
  const std::vector<Record>& history() const { return history_; }
  Contract contract() const { return {options_.workers, options_.servers, options_.staleness}; }
  // Pushes and reads that were completed.
  std::int64_t operations() const { return operations_; }
  int deaths() const { return deaths_; }
  std::chrono::nanoseconds elapsed() const { return now_ - TimePoint(); }

 private:
  using TimePoint = Endpoint::TimePoint;
  struct Worker {
    std::unique_ptr<Requests> requests;  // null: dead, or done
    std::uint64_t life = 0;
    std::int64_t step = -1;                                        // not begun
    std::optional<TimePoint> wakes;                                // thinks until then; without requests: comes back
    std::map<std::pair<int, std::uint64_t>, std::int64_t> pushes;  // (server, sequence) -> step
    std::map<std::pair<int, std::uint64_t>, std::int64_t> reads;
    bool leaving = false;
    bool done = false;
  };
  struct Shard {
    std::unique_ptr<optim::SGD> optimizer;
    std::unique_ptr<Server> server;
    std::vector<bool> living;                       // [worker], as this server sees it
    std::vector<std::optional<TimePoint>> lost_at;  // [worker]: not heard of since
  };

  double draw() { return random_.uniform(drawn_++); }
  void record(Record::Kind kind, int worker, int server, std::int64_t step, std::vector<float> values = {});
  void start(int worker);
  void die(int worker, bool refused);
  void begin_if_welcomed(int worker, Outbox& out);
  void think(int worker);
  void act(int worker, Outbox& out);
  std::uint64_t add(int worker, int server, Message message, std::vector<Array> arrays, Outbox& out);
  void push(int worker, int server, Outbox& out);
  void pull(int worker, int server, Outbox& out);
  void take(int worker, const Requests::Answer& answer);
  void deliver(SimulatedNetwork::Arrival arrival);
  void deliver_to_server(SimulatedNetwork::Arrival arrival);
  void watch_deaths(int server);
  void wake(int worker);
  TimePoint next_time() const;
  bool over() const;
  void read_all();
  void send(Node from, Outbox& out);

  SimulationOptions options_;
  RandomStream random_;
  std::uint64_t drawn_ = 0;
  Plan plan_;
  SimulatedNetwork network_;
  TimePoint now_{};
  std::vector<Worker> workers_;
  std::vector<Shard> servers_;
  std::vector<Record> history_;
  std::int64_t operations_ = 0;
  int deaths_ = 0;
};

}  // namespace trireme::strategies::parameter_server
