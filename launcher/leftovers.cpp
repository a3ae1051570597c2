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

int kill_once(const std::string& entry) {
  DIR* const processes = ::opendir("/proc");
  if (processes == nullptr) {
    return 0;
  }
  int killed = 0;
  while (const dirent* process = ::readdir(processes)) {
    pid_t pid = 0;
    const char* const name_end = process->d_name + std::strlen(process->d_name);
    const auto [end, error] = std::from_chars(process->d_name, name_end, pid);
    if (error != std::errc{} || end != name_end || pid == ::getpid()) {
      continue;
    }
    const std::string folder = "/proc/" + std::string(process->d_name);
    const auto environment = cluster::read_text_file(folder + "/environ");
    if (environment && has_entry(*environment, entry) && !is_zombie(folder) && ::kill(pid, SIGKILL) == 0) {
      ++killed;
    }
  }
  ::closedir(processes);
  return killed;
}

}  // namespace

int kill_processes_of(const std::string& token, Clock::time_point deadline) {
  const std::string entry = token_entry(token);
  int total = 0;
  // A process may fork between our look and its end, so one empty look after the last kill is what counts.
  for (int killed = 1; killed > 0 && Clock::now() < deadline; total += killed) {
    killed = kill_once(entry);
    if (killed > 0) {
      constexpr timespec kPause{0, 2'000'000};  // the kernel needs a moment to end them
      ::nanosleep(&kPause, nullptr);
    }
  }
  return total;
}

}  // namespace trireme::launcher
