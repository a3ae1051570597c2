// SIGTERM, SIGINT and SIGUSR1 (Slurm's preemption signal) ask a run to finish its step, save and end with exit 75.
#pragma once

#include <signal.h>

namespace trireme::training {

// While one lives, the three signals are remembered instead of ending the process; the earlier handlers come back with
// it. A second signal more than a second after the first takes the default action, so that an impatient person is
// obeyed (launcher and terminal may deliver the first one twice). May be nested: ranks as threads of one process.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  // The first signal that arrived since the outermost StopSignals was made, 0 if none. Any thread.
  static int received() noexcept;
  // The ranks have agreed to stop because one of them was signalled: from here on the handlers stay when the outermost
  // StopSignals goes. The signal reaches each rank at its own moment, and must not kill one that is already leaving.
  static void stay() noexcept;
};

// "SIGTERM", "SIGINT", "SIGUSR1"; "a signal" for others.
const char* signal_name(int number) noexcept;

}  // namespace trireme::training
