// What became of the ranks of one attempt, and what to do next. Plain data and pure functions.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "trireme/cluster/process_end.h"

namespace trireme::launcher {

// Of a rank, or of a parameter server.
struct RankOutcome {
  int process = 0;  // its number: process_count() of run_options.h
  int index = 0;    // the rank; of a server its number among servers
  bool server = false;
  pid_t pid = -1;
  cluster::ProcessEnd end;
  cluster::OutOfMemoryEvidence memory;
  int order = 0;                 // which wake-up of the launcher saw the end; ranks that ended together share it
  bool ended_by_us = false;      // by the signal with which the launcher stops the others after a failure
  bool counted_as_dead = false;  // killed by the launcher because it stayed stopped while others ran
  bool was_frozen = false;       // in state "stopped" (SIGSTOP) when another rank failed
  std::int64_t last_step = -1;   // as reported; -1: none
  int steps_begun = 0;           // reports in this attempt
  std::string error;             // as reported by the rank itself
  bool because_of_peer = false;
  std::vector<std::string> last_lines;  // of its stderr, where the launcher carries it
  std::string log_path;                 // of its stderr; empty: none
};

struct AttemptOutcome {
  std::vector<RankOutcome> ranks;
  int stop_signal = 0;  // the signal that asked the launcher to stop; 0: none
};

// "rank 3", "server 0".
std::string name_of(const RankOutcome& outcome);

// The rank or server whose failure came first and was nobody else's fault; null if none failed by itself.
const RankOutcome* culprit(const AttemptOutcome& outcome);

enum class Verdict { done, requeue, restart, failed, never_restart, stopped };
// After `restarts` restarts of at most `max_restarts`.
Verdict judge(const AttemptOutcome& outcome, int restarts, int max_restarts);
// Of `trireme run` itself, when the verdict is not restart.
int exit_code(Verdict verdict, const AttemptOutcome& outcome);

}  // namespace trireme::launcher
