#include "trireme/comm/environment/slurm_address.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace trireme::comm {
namespace {

constexpr std::size_t kMaxOutput = 65536;

// Everything that can be read until the end, the limit or the deadline.
std::string read_until(int fd, std::chrono::steady_clock::time_point deadline) {
  std::string text;
  char chunk[4096];
  while (text.size() < kMaxOutput) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd waiting{fd, POLLIN, 0};
    if (left.count() <= 0 || poll(&waiting, 1, static_cast<int>(left.count())) <= 0) {
      break;
    }
    const ssize_t got = read(fd, chunk, sizeof chunk);
    if (got <= 0) {
      break;
    }
    text.append(chunk, static_cast<std::size_t>(got));
  }
  return text;
}

// Its standard output; empty if it cannot be started.
std::string output_of(const std::string& program, const std::vector<std::string>& arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return "";
  }
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const bool started = posix_spawnp(&pid, program.c_str(), &actions, nullptr, argv.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  const std::string text =
      started ? read_until(ends[0], std::chrono::steady_clock::now() + std::chrono::seconds(10)) : "";
  close(ends[0]);
  if (started) {
    kill(pid, SIGKILL);  // it has closed its output, or is too slow
    waitpid(pid, nullptr, 0);
  }
  return text;
}

}  // namespace

std::string node_address_in(const std::string& text) {
  constexpr std::string_view kKey = "NodeAddr=";
  const std::size_t found = text.find(kKey);
  if (found == std::string::npos) {
    return "";
  }
  const std::size_t begin = found + kKey.size();
  return text.substr(begin, std::min(text.find_first_of(" \n", begin), text.size()) - begin);
}

std::string slurm_address_of_node(const std::string& node) {
  return node_address_in(output_of("scontrol", {"show", "node", node, "--oneliner"}));
}

}  // namespace trireme::comm
