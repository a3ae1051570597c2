// Signals to the launcher, as events instead of interruptions.
#pragma once

#include <csignal>
#include <optional>

#include "trireme/launcher/fd.h"

namespace trireme::launcher {

// While it lives, SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 and SIGTSTP wait in a descriptor, and SIGPIPE is ignored. A
// SIGHUP that was ignored at the start (nohup) stays ignored. One at a time; single-threaded programs only.
class SignalGate {
 public:
  SignalGate();
  ~SignalGate();
  SignalGate(const SignalGate&) = delete;
  SignalGate& operator=(const SignalGate&) = delete;

  int fd() const { return fd_.get(); }  // readable while a signal waits
  std::optional<int> next();            // the next waiting signal; never blocks

 private:
  sigset_t before_;
  struct sigaction pipe_before_;
  Fd fd_;
};

}  // namespace trireme::launcher
