// What a worker tells the launcher that started it: which step begins, and why it is about to fail.
//
// The launcher leaves one end of a socket pair (AF_UNIX, SOCK_SEQPACKET) open in the worker and its number in
// TRIREME_STATUS_FD. A message is one line of text:
//     step N           step N (from 0, since the first start) begins now
//     error TEXT       this rank is about to end with exit code 1 or 2 for a reason of its own
//     peer-error TEXT  the same, but the reason is another rank (a CommError)
// Where a failure is rehearsed on this rank (`trireme run --inject`), TRIREME_INJECT holds it, and the launcher answers
// every "step" with one message: "go", "exit CODE" or "disk_full". The worker waits for it, so that the failure strikes
// exactly there. A program in any language can speak this; one that does not is only known by how it ends.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

namespace trireme::cluster {

inline constexpr const char* kStatusFdVariable = "TRIREME_STATUS_FD";
inline constexpr const char* kInjectVariable = "TRIREME_INJECT";
inline constexpr const char* kRestartCountVariable = "TRIREME_RESTART_COUNT";

// What the worker must rehearse by itself.
enum class Rehearsal { none, disk_full };

// The worker's end. Copies share it. Not for use by several threads at a time.
class WorkerStatus {
 public:
  // Reports to the launcher that the environment names; without one, every report does nothing. The descriptor is
  // closed in programs that this process starts. Never raises.
  static WorkerStatus from_environment();
  // A status that reports on this descriptor, which it owns from now on; -1: to nobody.
  explicit WorkerStatus(int fd, bool rehearsed = false);

  // Call at the start of each step, before its first operation. Never blocks (a report that finds no room is
  // dropped), allocates nothing, ignores errors. Only under TRIREME_INJECT it waits for the launcher's answer, at most
  // 10 s; an answer "exit CODE" ends the process at once, the rehearsal of a program that dies; one that the caller
  // must carry out, from now on, is returned.
  Rehearsal report_step(std::int64_t step) noexcept;
  // Call before exiting with code 1 or 2. `because_of_peer`: the error is a CommError, so another rank is the cause.
  void report_error(std::string_view message, bool because_of_peer) noexcept;

  bool connected() const { return fd_ != nullptr; }

 private:
  std::shared_ptr<const int> fd_;  // closed with the last copy
  bool rehearsed_ = false;
};

// How often the launcher has restarted the job (TRIREME_RESTART_COUNT); 0 without a launcher. A value above 0 asks the
// program to go on from its newest checkpoint.
int restart_count_from_environment();

// The launcher's side: one received line, taken apart.
struct WorkerReport {
  enum class Kind { step, error, peer_error, unknown };
  Kind kind = Kind::unknown;
  std::int64_t step = -1;
  std::string_view text;  // points into the line
};
// Never raises: a line that makes no sense is `unknown`.
WorkerReport parse_worker_report(std::string_view line);

}  // namespace trireme::cluster
