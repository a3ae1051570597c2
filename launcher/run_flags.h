// The words of `trireme run`'s command line, with their help; run_options.cpp says what they mean.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace trireme::launcher {

struct RunFlags {
  bool standalone = false;
  std::string nnodes = "1";
  std::string nproc = "1";
  int servers = 0;
  std::string devices;

  std::string backend = "embedded";
  std::string endpoint;
  std::string run_id = "none";
  std::string master_address = "127.0.0.1";
  int master_port = 0;
  int node_rank = 0;
  std::string role = "default";

  int max_restarts = 3;
  long stop_timeout = 120;
  std::vector<std::string> faults;
  double monitor_interval = 0;

  std::string log_dir;
  int tee = 0;
  int redirects = 0;

  bool as_module = false;
  bool no_python = false;
};

// Adds the options, their groups and the examples to `app`, bound to `flags`.
void declare_run_flags(CLI::App& app, RunFlags& flags);

}  // namespace trireme::launcher
