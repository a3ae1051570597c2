#include "trireme/launcher/keeper.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <string_view>

#include "trireme/core/base/error.h"
#include "trireme/launcher/leftovers.h"

namespace trireme::launcher {
namespace {

// What the keeper knows, from lines "+GROUP", "-GROUP" and "token TEXT".
struct Knowledge {
  std::set<pid_t> groups;
  std::string token;

  void learn(std::string_view line) {
    if (line.starts_with("token ")) {
      token = line.substr(6);
    } else if (line.size() > 1) {
      pid_t group = 0;
      std::from_chars(line.data() + 1, line.data() + line.size(), group);
      if (line.front() == '+') {
        groups.insert(group);
      } else {
        groups.erase(group);
      }
    }
  }
};

Knowledge listen(int pipe) {
  Knowledge knowledge;
  std::string text;
  char buffer[4096];
  ssize_t got = 0;
  while ((got = ::read(pipe, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR)) {
    text.append(buffer, static_cast<std::size_t>(got > 0 ? got : 0));
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      knowledge.learn(std::string_view(text).substr(begin, end - begin));
    }
    text.erase(0, begin);
  }
  return knowledge;
}

[[noreturn]] void keep(int pipe) {
  ::setsid();
  ::prctl(PR_SET_NAME, "trireme-keeper");
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  [[maybe_unused]] const int ignored = ::chdir("/");
  const int nothing = ::open("/dev/null", O_RDWR);
  ::dup2(pipe, 0);
  ::dup2(nothing, 1);
  ::dup2(nothing, 2);
  ::close_range(3, ~0U, 0);  // else it would hold workers' pipes and the launcher's console open
  const Knowledge knowledge = listen(0);
  for (const pid_t group : knowledge.groups) {
    ::kill(-group, SIGKILL);
  }
  kill_processes_of(knowledge.token, Clock::now() + std::chrono::milliseconds(400));
  ::_exit(0);
}

}  // namespace

Keeper::~Keeper() { end(); }

void Keeper::start() {
  end();
  FdPair pipe = make_pipe();
  ::fcntl(pipe.ours.get(), F_SETFL, 0);  // the keeper waits in read()
  pid_ = ::fork();
  if (pid_ == 0) {
    keep(pipe.ours.get());
  }
  require(pid_ > 0, "trireme run: cannot start the keeper process{}", errno_text(errno));
  pidfd_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  pipe_ = std::move(pipe.theirs);
  tell(fmt::format("token {}\n", token_));
  for (const pid_t group : groups_) {
    tell(fmt::format("+{}\n", group));
  }
}

void Keeper::end() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);  // before the pipe ends, which would tell it to act
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  pipe_.reset();
  pidfd_.reset();
}

void Keeper::set_token(const std::string& token) {
  token_ = token;
  tell(fmt::format("token {}\n", token));
}

void Keeper::add_group(pid_t group) {
  groups_.insert(group);
  tell(fmt::format("+{}\n", group));
}

void Keeper::remove_group(pid_t group) {
  groups_.erase(group);
  tell(fmt::format("-{}\n", group));
}

void Keeper::tell(const std::string& line) {
  if (pipe_) {
    [[maybe_unused]] const ssize_t ignored = ::write(pipe_.get(), line.data(), line.size());  // dead: start() comes
  }
}

}  // namespace trireme::launcher
