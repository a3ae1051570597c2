// What can be seen of one rank from another one while a collective stalls: whether it lives, what it is doing, and its
// last operations.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trireme/comm/flight_recorder.h"
#include "trireme/core/base/activity.h"

namespace trireme::comm {

enum class Presence : std::uint8_t {
  alive,
  stopped,  // SIGSTOP or a debugger (state T)
  in_disk,  // the kernel waits for a device or a network file system (state D)
  dead,
  left,    // has destroyed its communicator
  silent,  // gives no answer
};

struct RankReport {
  int rank = 0;
  std::string host = {};
  int pid = -1;  // -1: not known
  Presence presence = Presence::alive;
  std::optional<Activity> activity = {};  // nothing: not known
  std::vector<OpRecord> records = {};     // of this communicator, oldest first
  bool knows_records = true;              // false: the backend cannot tell
};

// "rank 3 on node-b (pid 812), which is in data loading since 4.1 s (step 12)".
std::string describe(const RankReport& report);
// "its last operation is barrier #4 (completed)".
std::string last_operation(const RankReport& report);
// Of a rank that is gone: "it was in backward (step 12); its last operation is barrier #4 (completed)".
std::string last_known(const RankReport& report);

// The report as bytes, for a peer on another host; the ages are relative to `now`, so clocks need not agree. The oldest
// records are left out if it would be longer than `most` bytes. Both sides run the same build.
std::vector<std::byte> pack(const RankReport& report, std::chrono::steady_clock::time_point now, std::size_t most);
// Nothing if the bytes are no report. Never raises.
std::optional<RankReport> unpack(std::span<const std::byte> bytes, std::chrono::steady_clock::time_point now);

// Whether a process of this host runs, as /proc says: alive, stopped, in_disk or dead. Never raises.
Presence presence_of_process(int pid);

}  // namespace trireme::comm
