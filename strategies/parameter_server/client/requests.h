// Requests: a worker's side of the protocol as a state machine: numbers requests, sends them again until they are
// answered, and passes each answer on once. Time is an argument; no threads, no input or output.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "trireme/strategies/parameter_server/protocol/message.h"

namespace trireme::strategies::parameter_server {

class Requests {
 public:
  using TimePoint = Endpoint::TimePoint;

  struct Options {
    int worker = 0;
    std::uint64_t life = 1;  // greater for each process that is this worker
    int servers = 1;
    std::string agreement{};  // Plan::text()
    // An unanswered request is sent again after so long, then after twice as long each time, up to the limit.
    std::chrono::milliseconds retry_after{1000};
    std::chrono::milliseconds retry_after_max{8000};
    // Likewise hello to a server that does not answer, or was lost.
    std::chrono::milliseconds hello_after{50};
    std::chrono::milliseconds hello_after_max{1000};
  };
  struct Answer {
    int server = 0;
    Message message;
    std::vector<Array> arrays;
  };

  explicit Requests(Options options);

  // Says hello to all servers.
  void start(TimePoint now, Outbox& out);
  // Numbers the request and sends it, or keeps it until the server has welcomed us. The arrays must not change until
  // the answer is here. Returns its sequence.
  std::uint64_t add(int server, Message message, std::vector<Array> arrays, TimePoint now, Outbox& out);
  // The answer to a request, if the event is one that was not here yet. Raises Error if a server refuses to go on.
  std::optional<Answer> handle(TimePoint now, Endpoint::Event event, Outbox& out);
  // To be called once next_tick() has come.
  void tick(TimePoint now, Outbox& out);
  std::optional<TimePoint> next_tick() const;

  bool welcomed(int server) const { return at(server).welcomed; }
  // The first step of this life, as the server says. REQUIRES: was welcomed once.
  std::int64_t first_step(int server) const { return at(server).first_step; }
  bool is_answered(int server, std::uint64_t sequence) const { return !at(server).unanswered.contains(sequence); }
  std::size_t unanswered(int server) const { return at(server).unanswered.size(); }
  // Why the server cannot be reached at the moment; empty if it can.
  const std::string& trouble(int server) const { return at(server).trouble; }

 private:
  struct Pending {
    Parcel parcel;
    TimePoint again;
    int attempts = 1;
  };
  struct Server {
    bool welcomed = false;
    std::int64_t first_step = 0;
    std::uint64_t last = 0;      // sequence
    std::uint64_t answered = 0;  // the greatest sequence that was
    std::optional<TimePoint> hello_again;
    int hellos = 0;  // without a welcome
    std::string trouble;
    std::map<std::uint64_t, Pending> unanswered;
  };

  Server& at(int server) { return servers_[static_cast<std::size_t>(server)]; }
  const Server& at(int server) const { return servers_[static_cast<std::size_t>(server)]; }
  TimePoint again(TimePoint now, int attempts) const;
  void hello(int server, TimePoint now, Outbox& out);
  void welcome(int server, const Message& message, TimePoint now, Outbox& out);

  Options options_;
  std::vector<Server> servers_;
};

}  // namespace trireme::strategies::parameter_server
