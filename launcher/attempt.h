// One life of all ranks together: from their start until the last one has ended.
#pragma once

#include <memory>
#include <vector>

#include "trireme/cluster/memory_pressure.h"
#include "trireme/launcher/fault_plan.h"
#include "trireme/launcher/freeze_watch.h"
#include "trireme/launcher/keeper.h"
#include "trireme/launcher/signal_gate.h"
#include "trireme/launcher/worker.h"

namespace trireme::launcher {

// What outlives an attempt.
struct JobContext {
  const RunOptions& options;
  const Program& program;
  EventLoop& loop;
  Console& out;
  Console& err;
  SignalGate& signals;
  Keeper& keeper;
  cluster::MemoryPressureWatch& memory;
  FaultPlan& faults;
};

// When a rank fails, the others get SIGTERM at once and SIGKILL after a short grace, in which they may say which peer
// they miss. A rank that stays stopped while others run is killed (FreezeWatch). When the launcher is asked to stop,
// the ranks get the same signal and --stop-timeout.
class Attempt {
 public:
  Attempt(JobContext job, const AttemptSettings& settings);
  ~Attempt();  // no process of the attempt is left, however it ends
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;

  AttemptOutcome
  run();  // starts all ranks and servers and blocks until all have ended; raises Error if one cannot start

 private:
  void start(int process);
  void watch_keeper();
  bool on_reports(Worker& worker);  // false: there were none
  void on_step(Worker& worker, std::int64_t step);
  void on_end(Worker& worker);
  void on_signal(int signal);
  void suspend();
  void after_events();
  void look_for_frozen_ranks();
  void begin_failure();
  void kill_all();
  bool all_ended() const;
  void signal_all(int signal);

  JobContext job_;
  AttemptSettings settings_;
  std::vector<std::unique_ptr<Worker>> workers_;
  Clock::time_point kill_at_ = Clock::time_point::max();
  Clock::time_point give_up_at_ = Clock::time_point::max();
  FreezeWatch freezes_;
  Clock::time_point look_at_;
  int wakeups_ = 0;
  int stop_signal_ = 0;
  bool failing_ = false;
};

}  // namespace trireme::launcher
