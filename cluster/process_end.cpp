#include "trireme/cluster/process_end.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>

namespace trireme::cluster {
namespace {

std::string cause_of_kill(const OutOfMemoryEvidence& evidence) {
  constexpr const char* kRemedy = "give the job more memory, or use fewer ranks or a smaller batch";
  if (evidence.named_in_kernel_log) {
    return fmt::format("out of memory: the kernel log says that the kernel killed this process; {}", kRemedy);
  }
  if (evidence.cgroup_kills > 0) {
    return fmt::format("out of memory: the kernel killed {} process(es) of this cgroup since the start; {}",
                       evidence.cgroup_kills, kRemedy);
  }
  if (evidence.machine_kills > 0) {
    return fmt::format("probably out of memory: the kernel killed {} process(es) on this machine since the start; {}",
                       evidence.machine_kills, kRemedy);
  }
  if (evidence.cgroup_kills == 0 || evidence.machine_kills == 0) {
    return "the kernel reports no shortage of memory, so a person, a script or the batch system sent the signal";
  }
  return "a person or the batch system sent the signal, or memory ran out (this system does not tell)";
}

}  // namespace

ProcessEnd process_end_from_wait_status(int status) {
  if (WIFSIGNALED(status)) {
    return {.exit_code = -1, .signal = WTERMSIG(status)};
  }
  return {.exit_code = WEXITSTATUS(status), .signal = 0};
}

std::string signal_name(int signal) {
  const char* abbreviation = ::sigabbrev_np(signal);
  return abbreviation == nullptr ? fmt::format("signal {}", signal) : fmt::format("SIG{}", abbreviation);
}

std::string describe(const ProcessEnd& end) {
  if (end.signal != 0) {
    return fmt::format("killed by {} (signal {})", signal_name(end.signal), end.signal);
  }
  switch (end.exit_code) {
    case kExitDone:
      return "exit code 0 (done)";
    case kExitUsage:
      return "exit code 2 (wrong usage)";
    case kExitRequeue:
      return "exit code 75 (saved, wants to be requeued)";
    default:
      return fmt::format("exit code {}", end.exit_code);
  }
}

std::string likely_cause(const ProcessEnd& end, const OutOfMemoryEvidence& evidence) {
  switch (end.signal) {
    case SIGKILL:
      return cause_of_kill(evidence);
    case SIGSEGV:
      return "access to memory that is not there: a bug in the program or in a library it uses";
    case SIGBUS:
      return "a mapped page could not be had: /dev/shm is full (`df /dev/shm`), or a mapped file was cut short";
    case SIGILL:
      return "an instruction that this processor does not have; `trireme doctor` lists those it has";
    case SIGFPE:
      return "an integer division by zero or an overflow: a bug in the program";
    case SIGABRT:
      return "the program gave up by itself (assertion, uncaught exception, corrupted heap); its last lines say why";
    case SIGXCPU:
      return "the limit on processor time was reached (`ulimit -t`)";
    case SIGXFSZ:
      return "the limit on file size was reached (`ulimit -f`)";
    case SIGPIPE:
      return "it wrote to a pipe or socket whose reader is gone";
    case SIGTERM:
    case SIGINT:
    case SIGHUP:
      return "a person or the batch system asked it to stop, and it does not handle that signal";
    case 0:
      break;
    default:
      return {};
  }
  if (end.exit_code == 127) {
    return "a shell's way to say: command not found";
  }
  if (end.exit_code == 126) {
    return "a shell's way to say: the file cannot be executed";
  }
  if (end.exit_code > 128 && end.exit_code <= 128 + SIGRTMAX) {
    return fmt::format("a shell's way to say: its command was ended by {}", signal_name(end.exit_code - 128));
  }
  return {};
}

}  // namespace trireme::cluster
