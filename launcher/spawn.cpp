#include "trireme/launcher/spawn.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "trireme/core/base/error.h"

namespace trireme::launcher {
namespace {

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  for (const std::string& text : strings) {
    result.push_back(const_cast<char*>(text.c_str()));
  }
  result.push_back(nullptr);
  return result;
}

void reset_signals() {
  for (int signal = 1; signal < NSIG; ++signal) {
    ::signal(signal, SIG_DFL);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Runs between fork and exec; on failure returns errno.
int become(const SpawnRequest& request, char* const* arguments, char* const* environment, pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(1);  // the launcher died before the line above took effect
  }
  reset_signals();
  const int wanted[] = {request.stdin_fd, request.stdout_fd, request.stderr_fd};
  for (int fd = 0; fd < 3; ++fd) {
    if (wanted[fd] != fd && ::dup2(wanted[fd], fd) < 0) {
      return errno;
    }
  }
  if (request.inherited_fd >= 0) {
    ::fcntl(request.inherited_fd, F_SETFD, 0);
  }
  ::execve(request.executable.c_str(), arguments, environment);
  return errno;
}

[[noreturn]] void fail_start(const SpawnRequest& request, int error) {
  const bool users_fault = error == ENOENT || error == EACCES || error == ENOEXEC || error == ENOTDIR;
  const char* advice = error == ENOEXEC ? "; it has no '#!' line: name its interpreter before it" : "";
  throw_error(users_fault ? ErrorKind::usage : ErrorKind::failure,
              fmt::format("trireme run: cannot start '{}'{}{}", request.executable, errno_text(error), advice));
}

}  // namespace

Child spawn(const SpawnRequest& request) {
  const std::vector<char*> arguments = pointers(request.arguments);
  const std::vector<char*> environment = pointers(request.environment);
  FdPair report = make_pipe();  // closed by a successful exec; otherwise carries errno
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    const int error = become(request, arguments.data(), environment.data(), parent);
    [[maybe_unused]] const ssize_t ignored = ::write(report.theirs.get(), &error, sizeof error);
    ::_exit(127);
  }
  require(pid > 0, "trireme run: cannot start '{}'{}; too many processes (`ulimit -u`) or too little memory",
          request.executable, errno_text(errno));
  ::setpgid(pid, pid);  // on both sides, so that neither can be too early for it
  report.theirs.reset();
  ::fcntl(report.ours.get(), F_SETFL, 0);  // the answer comes within the time of an exec
  int error = 0;
  ssize_t got = 0;
  while ((got = ::read(report.ours.get(), &error, sizeof error)) < 0 && errno == EINTR) {
  }
  if (got == sizeof error) {
    ::waitpid(pid, nullptr, 0);
    fail_start(request, error);
  }
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) {
    const int pidfd_error = errno;
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    fail("trireme run: pidfd_open failed{}; Linux 5.3 or newer is needed", errno_text(pidfd_error));
  }
  return {pid, std::move(pidfd)};
}

}  // namespace trireme::launcher
