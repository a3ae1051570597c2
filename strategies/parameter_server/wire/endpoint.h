// Endpoint: one process's place on the wire between workers and servers. It moves parcels: a small header and arrays of
// any size beside it, whose bytes no parser ever sees. What parcels mean is the protocol's business (server/, client/).
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "trireme/core/array/array.h"

namespace trireme::strategies::parameter_server {

enum class Role : std::uint8_t { worker, server };

struct Node {
  Role role = Role::worker;
  int index = 0;  // from 0 within the role

  friend auto operator<=>(const Node&, const Node&) = default;
};

struct Parcel {
  std::string header;         // at most kMaxHeaderBytes
  std::vector<Array> arrays;  // contiguous; shared with the sender until the parcel has left
};

inline constexpr std::size_t kMaxHeaderBytes = 1 << 20;

class Endpoint {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Event {
    enum class Kind : std::uint8_t { nothing, parcel, lost };
    Kind kind = Kind::nothing;
    Node from = {};
    Parcel parcel = {};  // arrays belong to the receiver, and may lie in memory of the wire: release them soon
    std::string why = {};
  };

  // Leaves: peers get `lost` with the reason "has left".
  virtual ~Endpoint() = default;
  virtual Node self() const = 0;
  // Parcels from one node to another arrive in order, each at most once, or not at all: what was under way when a
  // connection broke is lost without an error, and `lost` is received once for each break; the next send() connects
  // again. Returns at once unless more than the window's bytes wait for this peer: then blocks until there is room, at
  // most until the deadline, and returns false with nothing sent (back-pressure). Contents of the arrays must not
  // change until the peer's protocol has answered. Raises Error when the peer refuses this job (token, version).
  virtual bool send(Node to, Parcel parcel, TimePoint deadline) = 0;
  // The next parcel or loss, in order of arrival. Blocks until the deadline, then returns `nothing`. One thread at a
  // time; send() may run in others.
  virtual Event receive(TimePoint deadline) = 0;
  // Of headers and arrays, both ways, so far.
  virtual std::uint64_t bytes_moved() const = 0;
  // What has carried them: "local" (threads of one process), "shm", "grpc", "shm+grpc"; empty: nothing yet.
  virtual std::string carrier() const { return "local"; }
};

}  // namespace trireme::strategies::parameter_server
