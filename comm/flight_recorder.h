// The flight recorder: the last operations of a communicator, always on. When something stalls, the recorders of all
// ranks are compared and the first difference says who is where.
//
// A ring of fixed size: recording allocates nothing. Used by the communicator's thread only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trireme/comm/communicator.h"

namespace trireme::comm {

enum class OpState : std::uint8_t { started, completed, failed };
std::string_view name_of(OpState state);

struct OpRecord {
  std::uint64_t ticket = 0;    // counts all records of this recorder
  std::uint64_t sequence = 0;  // see Operation::sequence
  OpKind kind = OpKind::barrier;
  DType dtype = DType::f32;
  OpState state = OpState::started;
  int peer = -1;
  std::int64_t count = 0;
  OpName name;
  std::chrono::steady_clock::time_point start{};
  std::chrono::steady_clock::time_point end{};  // of completed and failed ones
};

class FlightRecorder {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr std::size_t kCapacity = 512;

  FlightRecorder() : ring_(kCapacity) {}

  // Returns the ticket with which the operation's end is reported.
  std::uint64_t started(const Operation& operation, TimePoint now);
  // A ticket whose record the ring has already overwritten is ignored.
  void completed(std::uint64_t ticket, TimePoint now) { end(ticket, OpState::completed, now); }
  void failed(std::uint64_t ticket, TimePoint now) { end(ticket, OpState::failed, now); }

  // The records still held, oldest first.
  std::vector<OpRecord> records() const;
  // One line an operation, oldest first; ages are relative to `now`.
  std::string text(TimePoint now) const;
  // {"rank":0,"records":[{"sequence":..,"kind":"..","name":"..","dtype":"..","count":..,"state":"..","age_ms":..},..]}
  std::string json(int rank, TimePoint now) const;

 private:
  void end(std::uint64_t ticket, OpState state, TimePoint now);

  std::vector<OpRecord> ring_;
  std::uint64_t next_ = 0;
};

struct RankHistory {
  int rank = 0;
  std::vector<OpRecord> records;  // oldest first
};

struct Divergence {
  std::uint64_t sequence = 0;
  std::vector<int> ranks;  // the minority: missing, or with another operation
  std::string text;  // "all_reduce #456 "bucket 4" f32 x 1024: rank 3 has not started it; its last is barrier #455"
};

// The first collective in which the ranks differ: another operation, dtype, count or name, one that some have not
// started, or one that some have not completed. Nothing if the histories agree. Pure; sends and receives are left out.
std::optional<Divergence> first_divergence(const std::vector<RankHistory>& histories);

}  // namespace trireme::comm
