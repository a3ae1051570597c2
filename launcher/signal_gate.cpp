#include "trireme/launcher/signal_gate.h"

#include <sys/signalfd.h>

#include <cerrno>

#include "trireme/core/base/error.h"

namespace trireme::launcher {

SignalGate::SignalGate() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGTSTP}) {
    ::sigaddset(&set, signal);
  }
  struct sigaction hangup {};
  ::sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) {
    ::sigaddset(&set, SIGHUP);
  }
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &ignore, &pipe_before_);
  ::sigprocmask(SIG_BLOCK, &set, &before_);
  fd_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  require(static_cast<bool>(fd_), "trireme run: signalfd failed{}", errno_text(errno));
}

SignalGate::~SignalGate() {
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
  ::sigaction(SIGPIPE, &pipe_before_, nullptr);
}

std::optional<int> SignalGate::next() {
  signalfd_siginfo info;
  const bool got = ::read(fd_.get(), &info, sizeof info) == sizeof info;
  return got ? std::optional(static_cast<int>(info.ssi_signo)) : std::nullopt;
}

}  // namespace trireme::launcher
