// Client: a worker's requests over an endpoint, for a thread that can wait. It has no thread of its own: answers are
// taken in while the caller waits.
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "trireme/core/base/clock.h"
#include "trireme/strategies/parameter_server/client/requests.h"
#include "trireme/strategies/parameter_server/plan.h"

namespace trireme::strategies::parameter_server {

// Used by one thread. The constructor raises Error, the other methods CommError, if a server refuses (another worker
// was lost, say), if a server is dead, and if the time is over: then naming the server that was waited for in vain.
class Client {
 public:
  using Answer = Requests::Answer;

  struct Options {
    std::uint64_t life = 1;
    std::chrono::milliseconds timeout{60000};  // of each wait
    // The wire loses nothing without saying so: this is for servers that do.
    std::chrono::milliseconds retry_after{10000};
    // A server that has welcomed this worker, was lost, and does not come back for so long is dead.
    std::chrono::milliseconds lease{1000};
  };

  // Says hello to all servers and waits until they have answered. The endpoint must outlive the client.
  Client(Endpoint& endpoint, const Plan& plan, const Options& options);

  // The step at which this worker begins: the first that every server lets it run.
  std::int64_t first_step() const;
  // Returns as soon as the endpoint has taken it. The arrays must not change until the answer is here.
  std::uint64_t request(int server, Message message, std::vector<Array> arrays);
  // Blocks until the request is answered. Once a request, unless it is a push: these are only counted.
  Answer wait(int server, std::uint64_t sequence);
  // Blocks until all pushes to this server are acknowledged, and everything before them answered.
  void wait_for_all(int server);
  // Tells all servers that this worker is done, and waits until they know.
  void goodbye();

  std::chrono::nanoseconds time_waiting() const { return time_waiting_; }
  std::uint64_t bytes_moved() const { return endpoint_.bytes_moved(); }

 private:
  using TimePoint = Endpoint::TimePoint;

  TimePoint deadline() const { return std::chrono::steady_clock::now() + options_.timeout; }
  void send(Outbox& out);
  void send(const Outgoing& outgoing);
  void take_in(TimePoint until);
  void note_loss(const Endpoint::Event& event);
  void note_welcomes();
  std::optional<TimePoint> next_death() const;
  void require_living_servers() const;
  std::optional<Answer> handle(Endpoint::Event event, Outbox& out);
  template <class Done>
  void wait_until(int server, std::string_view what, const Done& done);

  Endpoint& endpoint_;
  Options options_;
  int servers_;
  Requests requests_;
  bool greeted_ = false;  // every server has taken this worker in: what goes wrong later is a peer's fault
  std::vector<std::optional<TimePoint>> lost_since_;         // [server]
  std::vector<std::chrono::milliseconds> patience_;          // [server], with one that is to be connected
  std::map<std::pair<int, std::uint64_t>, Answer> answers_;  // not asked for yet
  std::chrono::nanoseconds time_waiting_{0};
};

}  // namespace trireme::strategies::parameter_server
