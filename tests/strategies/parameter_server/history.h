// What workers saw, and whether they may have seen it. The checker knows the contract, and nothing of the servers.
//
// Every push of a worker adds 1 and a weight, weight_of(worker, step), to two elements of its own on each server, so
// what a read returns tells which pushes of whom were applied before it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace trireme::strategies::parameter_server {

inline int weight_of(int worker, std::int64_t step) {
  return 1 + static_cast<int>((worker * 7 + step * 5 + step / 9) % 13);
}

struct Record {
  enum class Kind : std::uint8_t {
    began,   // a life of the worker; step: its first one
    pushed,  // sent the push of `step` to `server` for the first time
    acked,   // heard that it was applied
    asked,   // for values of `server` for `step`
    read,    // got them
    joined,  // `server` counts the worker among the living
    buried,  // `server` has waited long enough for a lost worker, and counts it as dead
    ended,   // the worker has finished
    died,    // or was killed, or has given up because a server refused it
  };
  Kind kind = Kind::began;
  int worker = 0;
  int server = 0;
  std::int64_t step = 0;
  std::vector<float> values = {};  // read: [worker][2]
};

struct Contract {
  int workers = 1;
  int servers = 1;
  std::optional<std::int64_t> staleness;  // nothing: async
};

// Every way in which the history, in order of time, breaks the contract: a push applied twice or not at all though
// acknowledged, own pushes not seen, older values after newer ones, a worker further ahead than it may be.
std::vector<std::string> violations(const Contract& contract, const std::vector<Record>& history);

}  // namespace trireme::strategies::parameter_server
