// The process of one rank or server with everything the launcher holds of it.
#pragma once

#include <memory>
#include <string>

#include "trireme/launcher/fd.h"
#include "trireme/launcher/outcome.h"
#include "trireme/launcher/output_relay.h"
#include "trireme/launcher/program.h"
#include "trireme/launcher/run_options.h"
#include "trireme/launcher/spawn.h"
#include "trireme/launcher/worker_environment.h"

namespace trireme::launcher {

struct WorkerRequest {
  const RunOptions& options;
  const AttemptSettings& settings;
  const Program& program;
  EventLoop& loop;
  Console& out;
  Console& err;
  int process = 0;     // its number: process_count() of run_options.h
  std::string inject;  // failures to rehearse there; empty: none
};

class Worker {
 public:
  explicit Worker(const WorkerRequest& request);  // starts it; raises Error
  ~Worker();                                      // kills its process group if it still runs
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  int process() const { return outcome_.process; }
  pid_t pid() const { return child_.pid; }
  int pidfd() const { return child_.pidfd.get(); }
  int status_fd() const { return status_.get(); }
  bool running() const { return running_; }
  RankOutcome& outcome() { return outcome_; }

  // To its whole process group, or to the process alone.
  void signal_group(int signal) const;
  void signal_process(int signal) const;
  // True if the process is stopped by SIGSTOP (a debugger's stop is another state).
  bool is_frozen() const;
  // An answer to a "step" report (cluster/worker_status.h).
  void answer(const std::string& text) const;
  // Next report; empty: none waits.
  std::string next_report() const;
  // The pidfd is readable: kills what is left of the group, collects the status and the rest of the output.
  void collect();

 private:
  std::unique_ptr<OutputRelay> relay_for(const WorkerRequest& request, Stream stream, Fd& worker_end);

  RankOutcome outcome_;
  Child child_;
  Fd status_;
  std::unique_ptr<OutputRelay> out_;
  std::unique_ptr<OutputRelay> err_;
  bool running_ = false;
};

}  // namespace trireme::launcher
