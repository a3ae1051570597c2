// How a worker process ended, in words: the signal or exit code, and its likely cause. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace trireme::cluster {

// The exit codes of every program of the project (docs: "Exit codes").
inline constexpr int kExitDone = 0;
inline constexpr int kExitError = 1;
inline constexpr int kExitUsage = 2;
inline constexpr int kExitRequeue = 75;  // saved, and wants to be started again

struct ProcessEnd {
  int exit_code = -1;  // -1: ended by a signal
  int signal = 0;      // 0: ended by itself

  bool done() const { return exit_code == kExitDone; }
  bool requeue() const { return exit_code == kExitRequeue; }
  bool failed() const { return !done() && !requeue(); }
};

// From the status that waitpid() fills in, of a process that has ended.
ProcessEnd process_end_from_wait_status(int status);

// "SIGKILL"; "signal 42" for those without a name.
std::string signal_name(int signal);
// "killed by SIGSEGV (signal 11)", "exit code 3", "exit code 0 (done)".
std::string describe(const ProcessEnd& end);

// What the machine knows about memory shortage while the process ran. Counters are differences over its life.
struct OutOfMemoryEvidence {
  bool named_in_kernel_log = false;  // the kernel log says that it killed this very process
  std::int64_t cgroup_kills = -1;    // processes killed in this cgroup; -1: cannot be read
  std::int64_t machine_kills = -1;   // processes killed on the machine; -1: cannot be read
};

// One sentence on the likely cause and what to do; empty where the end says all there is to say.
std::string likely_cause(const ProcessEnd& end, const OutOfMemoryEvidence& evidence);

}  // namespace trireme::cluster
