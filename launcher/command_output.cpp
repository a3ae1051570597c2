#include "trireme/launcher/command_output.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "trireme/launcher/fd.h"

namespace trireme::launcher {
namespace {

pid_t start(const std::vector<std::string>& command, int out) {
  std::vector<char*> words;
  std::transform(command.begin(), command.end(), std::back_inserter(words),
                 [](const std::string& word) { return const_cast<char*>(word.c_str()); });
  words.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, out, 1);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? pid : -1;
}

}  // namespace

std::string first_line_of(const std::vector<std::string>& command, std::chrono::milliseconds deadline) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) {
    return {};
  }
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  const pid_t pid = start(command, write_end.get());
  write_end.reset();
  if (pid < 0) {
    return {};
  }
  const auto until = std::chrono::steady_clock::now() + deadline;
  std::string text;
  while (text.find('\n') == std::string::npos) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd waiting{read_end.get(), POLLIN, 0};
    char chunk[256];
    const bool more = left > 0 && ::poll(&waiting, 1, static_cast<int>(left)) > 0;
    const ssize_t got = more ? ::read(read_end.get(), chunk, sizeof chunk) : 0;
    if (got <= 0) {
      break;
    }
    text.append(chunk, static_cast<std::size_t>(got));
  }
  ::kill(pid, SIGKILL);  // its first line was all that was wanted
  ::waitpid(pid, nullptr, 0);
  return text.substr(0, text.find('\n'));
}

}  // namespace trireme::launcher
