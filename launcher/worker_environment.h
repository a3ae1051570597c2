// The environment of one rank: the caller's own, and torchrun's names. Pure.
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

// `inherited`: "NAME=value" strings. `status_fd`: see cluster/worker_status.h. `inject`: failures to rehearse on this
// rank; empty: none.
std::vector<std::string> worker_environment(const std::vector<std::string>& inherited, const RunOptions& options,
                                            const AttemptSettings& settings, int rank, int status_fd,
                                            const std::string& inject);

// "TRIREME_JOB_TOKEN=...", as it stands in the environment.
std::string token_entry(const std::string& token);
// This process's environment.
std::vector<std::string> own_environment();

}  // namespace trireme::launcher
