// Engine: what a server does with requests that are due, in the order of each worker, each once. One engine for sync
// (sync_steps.h), one for ssp and async (stale_updates.h). A state machine: no threads, no time, no input or output.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "trireme/strategies/parameter_server/protocol/message.h"
#include "trireme/strategies/parameter_server/server/shard.h"

namespace trireme::strategies::parameter_server {

struct Request {
  int worker = 0;
  Message message;
  std::vector<Array> arrays;
};

// Where answers go.
class Replies {
 public:
  // Answers the worker's request `sequence`; life is filled in.
  virtual void send(int worker, Message answer, std::vector<Array> arrays) = 0;
  // Tells the worker why it cannot go on.
  virtual void refuse(int worker, std::uint64_t sequence, std::string why) = 0;

 protected:
  ~Replies() = default;
};

class Engine {
 public:
  virtual ~Engine() = default;

  // A life of the worker begins; returns its first step.
  virtual std::int64_t join(int worker) = 0;
  // It said goodbye (`why` is empty), or is dead.
  virtual void leave(int worker, const std::string& why, Replies& replies) = 0;
  // Carries a request out, and answers it now or later. Raises Error if it cannot be what a worker means to ask;
  // nothing has changed then.
  virtual void request(const Request& request, Replies& replies) = 0;
  // Answers a request once more that was carried out.
  virtual void repeat(const Request& request, Replies& replies) = 0;
};

std::unique_ptr<Engine> make_engine(const Plan& plan, int server, Shard& shard);

// The gradients that a push brings, checked against the shard: the arrays of its entries that are not scalars.
struct PushedPart {
  Entry entry;
  optim::Gradient gradient;
};
std::vector<PushedPart> parts_of_push(const Request& request, const Plan& plan, const Shard& shard);
// Raises Error for pieces or rows that are not here.
void check_pull(const Request& pull, const Shard& shard);
// The answer: copies of the values that it asks for. Raises Error as check_pull() does.
std::vector<Array> values_for_pull(const Request& pull, const Shard& shard);

}  // namespace trireme::strategies::parameter_server
