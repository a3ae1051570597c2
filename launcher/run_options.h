// The command line of `trireme run`: torchrun's language.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "trireme/cluster/fault.h"

namespace trireme::launcher {

// Which of a worker's two streams: bits as torchrun's --tee has them.
enum Stream : int { kStdout = 1, kStderr = 2 };

struct RunOptions {
  std::string help;  // not empty: --help was given; show this and do nothing

  int ranks = 1;    // of this host, which is the whole job: the workers where there are servers
  int servers = 0;  // parameter servers beside them
  int max_restarts = 3;
  std::string run_id = "none";
  std::string role = "default";
  std::string master_address = "127.0.0.1";
  int master_port = 0;  // 0: a free one
  std::string log_dir;  // empty: none
  std::optional<int> tee;
  int redirects = 0;
  std::chrono::seconds stop_timeout{120};
  std::vector<cluster::Fault> faults;
  bool as_module = false;
  std::vector<std::string> command;  // the program and its arguments
};

// `arguments` is what follows "trireme run". Options end at "--" or at the first word that is no option. Raises Error
// (usage) for what cannot be honoured: nothing is ignored silently.
RunOptions parse_run_options(const std::vector<std::string>& arguments);

// The arguments with torchrun's underscores as dashes: --nproc_per_node is --nproc-per-node.
std::vector<std::string> words_with_dashes(const std::vector<std::string>& arguments);
// The program and its arguments, in the user's own spelling: `rest` is what the parser left of `arguments`. Raises
// Error (usage) in the name of `command_name`, "trireme run", if that begins with an option, or is nothing.
std::vector<std::string> program_words(const std::vector<std::string>& arguments, const std::vector<std::string>& rest,
                                       const std::string& command_name);
// What --nproc-per-node means: a number, or auto and cpu for one rank a core. `command` is what the error begins with,
// "trireme run". Raises Error (usage).
int ranks_of_nproc(const std::string& text, const std::string& command);

// The job's processes are numbered: first the ranks, then the servers.
inline int process_count(const RunOptions& options) { return options.ranks + options.servers; }
inline bool is_server(const RunOptions& options, int process) { return process >= options.ranks; }

// Where one stream of one process goes.
struct StreamPlan {
  bool inherited = false;  // the launcher's own stream, untouched
  bool shown = true;       // on the launcher's console
  bool prefixed = false;   // with "[rank N] " or "[server N] "
  bool logged = false;     // in a file below --log-dir
};
StreamPlan plan_stream(const RunOptions& options, int process, Stream stream);

}  // namespace trireme::launcher
