#include "trireme/launcher/leftovers.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>
#include <ctime>
#include <string_view>

#include "trireme/cluster/text_file.h"
#include "trireme/launcher/worker_environment.h"

namespace trireme::launcher {
namespace {

constexpr int kMostDoubts = 25;  // looks at processes that may be starting; some never had an environment

bool has_entry(std::string_view environment, std::string_view entry) {
  while (!environment.empty()) {
    const std::string_view one = environment.substr(0, environment.find('\0'));
    if (one == entry) {
      return true;
    }
    environment.remove_prefix(std::min(environment.size(), one.size() + 1));
  }
  return false;
}

bool is_zombie(const std::string& folder) {
  const std::string stat = cluster::read_text_file(folder + "/stat").value_or("");
  const std::size_t name_end = stat.rfind(')');
  return name_end == std::string::npos || (name_end + 2 < stat.size() && stat[name_end + 2] == 'Z');
}

struct Look {
  int killed = 0;
  bool conclusive = true;  // else there are processes whose environment could not be seen
};

// A process in the middle of execve() shows an empty environment, as one that was started with none always does. Kernel
// threads do too, and have no program.
bool may_be_starting(const std::string& folder, const std::string& environment) {
  return environment.empty() && ::access((folder + "/exe").c_str(), F_OK) == 0;
}

Look kill_once(const std::string& entry) {
  DIR* const processes = ::opendir("/proc");
  if (processes == nullptr) {
    return {};
  }
  Look look;
  while (const dirent* process = ::readdir(processes)) {
    pid_t pid = 0;
    const char* const name_end = process->d_name + std::strlen(process->d_name);
    const auto [end, error] = std::from_chars(process->d_name, name_end, pid);
    if (error != std::errc{} || end != name_end || pid == ::getpid()) {
      continue;
    }
    const std::string folder = "/proc/" + std::string(process->d_name);
    const auto environment = cluster::read_text_file(folder + "/environ");
    if (!environment || is_zombie(folder)) {
      continue;
    }
    if (has_entry(*environment, entry)) {
      look.killed += ::kill(pid, SIGKILL) == 0 ? 1 : 0;
    } else if (may_be_starting(folder, *environment)) {
      look.conclusive = false;
    }
  }
  ::closedir(processes);
  return look;
}

}  // namespace

int kill_processes_of(const std::string& token, Clock::time_point deadline) {
  const std::string entry = token_entry(token);
  int total = 0;
  int doubts = 0;
  // A process may fork between our look and its end, so one empty look after the last kill is what counts.
  while (Clock::now() < deadline) {
    const Look look = kill_once(entry);
    total += look.killed;
    if (look.killed == 0 && (look.conclusive || ++doubts > kMostDoubts)) {
      break;
    }
    constexpr timespec kPause{0, 2'000'000};  // the kernel needs a moment to end or to start them
    ::nanosleep(&kPause, nullptr);
  }
  return total;
}

}  // namespace trireme::launcher
