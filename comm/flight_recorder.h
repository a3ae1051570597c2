// The flight recorder: the last operations of a communicator, always on. When something stalls, the recorders of all
// ranks are compared (divergence.h) and the first difference says who is where.
//
// A ring of fixed size: recording allocates nothing and takes no lock. One thread records (an operation's end may be
// reported by another one); any thread reads, and skips a record that is being written at that moment.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
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

  FlightRecorder();
  ~FlightRecorder();

  // Returns the ticket with which the operation's end is reported.
  std::uint64_t started(const Operation& operation, TimePoint now);
  // A ticket whose record the ring has already overwritten is ignored.
  void completed(std::uint64_t ticket, TimePoint now) { end(ticket, OpState::completed, now); }
  void failed(std::uint64_t ticket, TimePoint now) { end(ticket, OpState::failed, now); }

  // The newest records still held, at most `most`, oldest first.
  std::vector<OpRecord> records(std::size_t most = kCapacity) const;
  // One line an operation, oldest first; ages are relative to `now`.
  std::string text(TimePoint now) const;
  // {"rank":0,"records":[{"sequence":..,"kind":"..","name":"..","dtype":"..","count":..,"state":"..","age_ms":..},..]}
  std::string json(int rank, TimePoint now) const;

 private:
  struct Entry;
  void end(std::uint64_t ticket, OpState state, TimePoint now);
  bool read(std::uint64_t ticket, OpRecord& record) const;

  std::unique_ptr<Entry[]> ring_;
  std::atomic<std::uint64_t> next_{0};
};

// "all_reduce #4 "bucket 2" f32 x 1024".
std::string title_of(const OpRecord& record);
// "all_reduce #4 "bucket 2" f32 x 1024 completed 10.000 ms ago, took 3.000 ms".
std::string line_of(const OpRecord& record, FlightRecorder::TimePoint now);

}  // namespace trireme::comm
