// RequestLedger: which requests of which workers were carried out. The bookkeeping behind "exactly once, in order".
// Pure: no time, no input or output.
#pragma once

#include <cstdint>
#include <vector>

namespace trireme::strategies::parameter_server {

class RequestLedger {
 public:
  enum class Verdict : std::uint8_t {
    next,       // to be carried out now, then settle()
    early,      // an earlier one is still missing
    duplicate,  // was carried out: answer it again, do nothing
    stranger,   // of no life that is open: the worker must say hello
    fenced,     // of a life that was closed: it must not go on
  };

  explicit RequestLedger(int workers) : sessions_(static_cast<std::size_t>(workers)) {}

  // A worker's life begins, or says hello again (nothing changes then). False: this life or a later one was closed, or
  // a later one is open.
  bool open(int worker, std::uint64_t life);
  // The worker's life is over, for good.
  void close(int worker);
  bool is_open(int worker) const { return at(worker).open; }
  std::uint64_t life(int worker) const { return at(worker).life; }

  Verdict judge(int worker, std::uint64_t life, std::uint64_t sequence) const;
  // The worker's next request is carried out.
  void settle(int worker) { ++sessions_[static_cast<std::size_t>(worker)].settled; }
  // Its requests 1 .. settled() are.
  std::uint64_t settled(int worker) const { return at(worker).settled; }

 private:
  struct Session {
    std::uint64_t life = 0;  // lives count from 1
    std::uint64_t settled = 0;
    bool open = false;
  };
  const Session& at(int worker) const { return sessions_[static_cast<std::size_t>(worker)]; }

  std::vector<Session> sessions_;
};

}  // namespace trireme::strategies::parameter_server
