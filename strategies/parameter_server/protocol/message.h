// Message: what workers and servers say to each other. A parcel's header is one of these; its arrays are the values
// that the entries announce, in order.
//
// A worker numbers its requests to a server 1, 2, 3, ... within its `life` (which of its processes it is: a restarted
// worker has a greater one). The server carries them out in this order, each exactly once, and answers each with the
// same sequence; a request that was not answered is sent again until it is. docs/parameter_server.md is the contract.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trireme/core/base/batch_split.h"
#include "trireme/strategies/parameter_server/wire/endpoint.h"

namespace trireme::strategies::parameter_server {

inline constexpr std::uint32_t kProtocolVersion = 1;

enum class Kind : std::uint8_t {
  // Worker to server.
  hello = 1,  // version, life, text: what both must agree on (Agreement)
  push,       // sync: parts of gradients of `step`. ssp, async: the worker's gradient of `step`, to be applied at once
  pull,       // values of the entries, as `step` may read them
  push_pull,  // both: the push of `step`, then all dense values as step + 1 may read them
  totals,     // sync: the sums of the step's scalars
  reduce,     // sync: the sums of squares of the step's gradients, each multiplied by `factor`
  assign,     // new values of the entries, before the first step
  apply,      // sync: update the entries by learning_rate and clipping `factor`; answers with all values
  goodbye,    // this worker will ask for nothing more
  // Server to worker.
  welcome,  // to hello; step: the first one that this life may run; sequence: how many requests of it were carried out
  ack,      // to push, assign and goodbye
  values,   // to pull, apply, and push_pull (all dense pieces); step: of the last update in them
  sums,     // to totals and reduce: one array
  refused,  // text says why; the worker cannot go on
};

std::string_view name_of(Kind kind);

// What arrays of the parcel are about: one array, values[n]; of a sparse table in a push two: rows i64[n] of the whole
// table, ascending and each once, and values f32[n, row]. A pull brings the rows only, and its answer the values.
struct Entry {
  int piece = 0;      // index into the partition; the number of pieces: the step's scalars
  Subtree part = {};  // sync pushes: the node of the lane tree
  bool sparse = false;

  friend bool operator==(const Entry&, const Entry&) = default;
};

struct Message {
  Kind kind = Kind::hello;
  std::uint32_t version = kProtocolVersion;
  std::uint64_t sequence = 0;
  std::uint64_t life = 0;
  std::int64_t step = 0;
  BatchSplit split = {0, 0, 0};
  double learning_rate = 0;
  double factor = 1;
  std::string text = {};
  std::vector<Entry> entries = {};
};

std::string encode(const Message& message);
// Raises Error for bytes that are no message.
Message decode(const std::string& header);

struct Outgoing {
  Node to;
  Parcel parcel;
};
// Filled by the state machines, emptied by whoever has the endpoint.
using Outbox = std::vector<Outgoing>;

}  // namespace trireme::strategies::parameter_server
