#include "trireme/launcher/worker_environment.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "trireme/cluster/worker_status.h"

namespace trireme::launcher {
namespace {

std::string_view name_of_entry(std::string_view entry) { return entry.substr(0, entry.find('=')); }

void set(std::vector<std::string>& environment, std::string_view name, const std::string& value) {
  std::erase_if(environment, [&](const std::string& entry) { return name_of_entry(entry) == name; });
  environment.push_back(fmt::format("{}={}", name, value));
}

void set_role(std::vector<std::string>& environment, const RunOptions& options, int process) {
  for (const std::string_view name :
       {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TRIREME_SERVERS", "TRIREME_WORKERS"}) {
    std::erase_if(environment, [&](const std::string& entry) { return name_of_entry(entry) == name; });
  }
  const bool server = is_server(options, process);
  const std::string count = std::to_string(server ? options.servers : options.ranks);
  const std::string index = std::to_string(server ? process - options.ranks : process);
  if (!server) {
    set(environment, "RANK", index);
    set(environment, "WORLD_SIZE", count);
    set(environment, "LOCAL_RANK", index);
    set(environment, "LOCAL_WORLD_SIZE", count);
  }
  set(environment, "GROUP_RANK", "0");
  set(environment, "GROUP_WORLD_SIZE", "1");
  set(environment, "ROLE_NAME", server ? "server" : options.role);
  set(environment, "ROLE_RANK", index);
  set(environment, "ROLE_WORLD_SIZE", count);
  if (options.servers > 0) {
    set(environment, "TRIREME_SERVERS", std::to_string(options.servers));
    set(environment, "TRIREME_WORKERS", std::to_string(options.ranks));
  }
}

}  // namespace

std::vector<std::string> worker_environment(const std::vector<std::string>& inherited, const RunOptions& options,
                                            const AttemptSettings& settings, int process, int status_fd,
                                            const std::string& inject) {
  std::vector<std::string> environment = inherited;
  std::erase_if(environment, [](const std::string& entry) { return name_of_entry(entry) == cluster::kInjectVariable; });
  const std::string ranks = std::to_string(options.ranks);
  const std::string restarts = std::to_string(settings.attempt);
  set_role(environment, options, process);
  set(environment, "MASTER_ADDR", options.master_address);
  set(environment, "MASTER_PORT", std::to_string(settings.master_port));
  set(environment, "TORCHELASTIC_RESTART_COUNT", restarts);
  set(environment, "TORCHELASTIC_MAX_RESTARTS", std::to_string(options.max_restarts));
  set(environment, "TORCHELASTIC_RUN_ID", options.run_id);
  set(environment, "TORCHELASTIC_USE_AGENT_STORE", "False");  // rank 0 listens on MASTER_PORT; we never do
  set(environment, "TRIREME_JOB_TOKEN", settings.token);
  set(environment, "TRIREME_MAX_WORLD_SIZE", ranks);
  set(environment, cluster::kRestartCountVariable, restarts);
  set(environment, cluster::kStatusFdVariable, std::to_string(status_fd));
  if (!inject.empty()) {
    set(environment, cluster::kInjectVariable, inject);
  }
  const bool has_threads = std::any_of(environment.begin(), environment.end(), [](const std::string& entry) {
    return name_of_entry(entry) == "OMP_NUM_THREADS";
  });
  if (!has_threads) {
    set(environment, "OMP_NUM_THREADS", "1");  // ranks share the cores; more threads each would fight for them
  }
  return environment;
}

std::string token_entry(const std::string& token) { return "TRIREME_JOB_TOKEN=" + token; }

std::vector<std::string> own_environment() {
  std::vector<std::string> entries;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    entries.emplace_back(*entry);
  }
  return entries;
}

}  // namespace trireme::launcher
