// The environment of one rank or server: the caller's own, and torchrun's names. Pure.
#pragma once

#include <string>
#include <vector>

#include "trireme/launcher/run_options.h"

namespace trireme::launcher {

// What is the same for all ranks of one attempt.
struct AttemptSettings {
  int attempt = 0;  // 0, then one more with each restart
  int master_port = 0;
  std::string token;  // names this attempt; processes that carry it in their environment belong to it
};

// `process`: its number, as process_count() counts. A server has ROLE_NAME=server, ROLE_RANK and ROLE_WORLD_SIZE, and
// none of the ranks' names: nobody shall take it for a rank. Where there are servers, all processes have
// TRIREME_SERVERS and TRIREME_WORKERS (comm/environment/role.h). `inherited`: "NAME=value" strings. `status_fd`: see
// cluster/worker_status.h. `inject`: failures to rehearse on this rank; empty: none.
std::vector<std::string> worker_environment(const std::vector<std::string>& inherited, const RunOptions& options,
                                            const AttemptSettings& settings, int process, int status_fd,
                                            const std::string& inject);

// "TRIREME_JOB_TOKEN=...", as it stands in the environment.
std::string token_entry(const std::string& token);
// This process's environment.
std::vector<std::string> own_environment();

}  // namespace trireme::launcher
