// Server: one server of the job as a state machine. Parcels, losses and the time go in, parcels come out: no threads,
// no clock, no input or output, so the same code runs under every fault that a test can think of.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "trireme/strategies/parameter_server/clocks/request_ledger.h"
#include "trireme/strategies/parameter_server/server/engine.h"

namespace trireme::strategies::parameter_server {

class Server final : private Replies {
 public:
  using TimePoint = Endpoint::TimePoint;

  struct Options {
    int index = 0;
    // A worker whose connection was lost, and of whom nothing is heard for so long, is dead for good.
    std::chrono::milliseconds lease{1500};
  };

  // Plan and optimizer must outlive the server; the optimizer is attached to its pieces.
  Server(const Plan& plan, optim::Optimizer& optimizer, const Options& options);

  void handle(TimePoint now, Endpoint::Event event, Outbox& out);
  // To be called once next_tick() has come.
  void tick(TimePoint now, Outbox& out);
  std::optional<TimePoint> next_tick() const;
  // Every worker was there, and has said goodbye or is dead.
  bool finished() const;
  // The first worker that was never there; nothing once all were.
  std::optional<int> missing() const;

  // Why the worker is dead; empty: it lives, was never there, or has said goodbye.
  const std::string& death_of(int worker) const;

  const Shard& shard() const { return shard_; }
  // A life of the worker has begun, and is not over: others wait for it as far as they are bound to.
  bool is_living(int worker) const { return ledger_.is_open(worker); }

 private:
  static constexpr std::size_t kEarlyMax = 1024;  // requests of a worker that wait for an earlier one

  void hello(int worker, const Message& message);
  void accept(Request request);
  void turn_away(int worker, const Message& message);
  void carry_out(const Request& request);
  void repeat(const Request& request);
  void assign(const Request& request);
  void close(int worker, const std::string& why);
  void send(int worker, Message answer, std::vector<Array> arrays) override;
  void refuse(int worker, std::uint64_t sequence, std::string why) override;

  struct Worker {
    bool seen = false;
    std::int64_t first_step = 0;  // of this life
    std::map<std::uint64_t, Request> early;
    std::optional<TimePoint> dead_at;  // its connection was lost
    std::string lost;                  // why
    std::string death = {};
  };

  const Plan& plan_;
  Options options_;
  Shard shard_;
  std::unique_ptr<Engine> engine_;
  RequestLedger ledger_;
  std::vector<Worker> workers_;
  std::string agreement_;
  Outbox* out_ = nullptr;  // of the call in progress
};

}  // namespace trireme::strategies::parameter_server
