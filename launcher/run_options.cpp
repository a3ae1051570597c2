#include "trireme/launcher/run_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>

#include "trireme/core/base/error.h"
#include "trireme/launcher/command_line-inl.h"
#include "trireme/launcher/machine.h"
#include "trireme/launcher/run_flags.h"

namespace trireme::launcher {
namespace {

// torchrun's options that mean nothing here: accepted words would promise an effect.
constexpr std::array kWithoutMeaning = {"--rdzv-conf",    "--local-addr",        "--start-method",
                                        "--run-path",     "--event-log-handler", "--logs-specs",
                                        "--numa-binding", "--signals-to-handle", "--local-ranks-filter"};

// torchrun spells --nproc_per_node; dashes are the names here. Values keep their underscores.
std::string with_dashes(std::string word) {
  if (word.starts_with("--")) {
    std::replace(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(std::min(word.find('='), word.size())), '_',
                 '-');
  }
  return word;
}

void check_one_host(const RunFlags& flags) {
  require_usage(
      flags.nnodes == "1" || flags.nnodes == "1:1",
      "trireme run: --nnodes {}: several hosts are not built yet; leave it out (one host), or start the program "
      "on one host with more --nproc-per-node",
      flags.nnodes);
  require_usage(flags.node_rank == 0, "trireme run: --node-rank {}: there is one host, whose rank is 0",
                flags.node_rank);
  const bool known = flags.backend == "embedded" || flags.backend == "c10d" || flags.backend == "static";
  const bool later = flags.backend == "etcd" || flags.backend == "file";
  require_usage(known, "trireme run: --rdzv-backend {}: {}; embedded (the default) serves one host", flags.backend,
                later ? "not built yet" : "no such backend");
  const std::size_t colon = flags.endpoint.rfind(':');
  const bool endpoint_ok =
      flags.endpoint.empty() || (colon != std::string::npos && colon > 0 && colon + 1 < flags.endpoint.size());
  require_usage(endpoint_ok, "trireme run: --rdzv-endpoint {}: HOST:PORT is expected", flags.endpoint);
  require_usage(flags.devices.empty(), "trireme run: --devices {}: GPUs are not built yet; leave it out",
                flags.devices);
}

void finish(RunOptions& options, const RunFlags& flags, bool tee_given) {
  check_one_host(flags);
  options.ranks = ranks_of_nproc(flags.nproc, "trireme run");
  options.servers = flags.servers;
  options.stop_timeout = std::chrono::seconds(flags.stop_timeout);
  options.tee = tee_given ? std::optional(flags.tee) : std::nullopt;
  options.max_restarts = flags.max_restarts;
  options.run_id = flags.run_id;
  options.role = flags.role;
  options.master_address = flags.master_address;
  options.master_port = flags.master_port;
  options.log_dir = flags.log_dir;
  options.redirects = flags.redirects;
  options.as_module = flags.as_module;
  require_usage(options.redirects == 0 || !options.log_dir.empty(),
                "trireme run: --redirects {} needs files to redirect to; give --log-dir DIR", options.redirects);
  for (const std::string& text : flags.faults) {
    options.faults.push_back(cluster::parse_fault(text));
    cluster::check_fault(options.faults.back(), options.ranks);
  }
}

}  // namespace

int ranks_of_nproc(const std::string& text, const std::string& command) {
  if (text == "auto" || text == "cpu") {
    return usable_cores();
  }
  require_usage(text != "gpu", "{}: --nproc-per-node gpu: this build has no CUDA; use auto, cpu or a number", command);
  int value = 0;
  constexpr int kMost = 4096;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require_usage(error == std::errc{} && end == text.data() + text.size() && value >= 1 && value <= kMost,
                "{}: --nproc-per-node {}: a number from 1 to {}, auto or cpu is expected", command, text, kMost);
  return value;
}

// CLI11 leaves everything from the first word that it does not know; in the user's own spelling that is the program.
std::vector<std::string> program_words(const std::vector<std::string>& arguments, const std::vector<std::string>& rest,
                                       const std::string& command_name) {
  std::vector<std::string> command(arguments.end() - static_cast<std::ptrdiff_t>(rest.size()), arguments.end());
  if (!command.empty() && command.front() == "--") {
    command.erase(command.begin());
  } else if (!command.empty() && command.front().starts_with("-")) {
    const std::string name = with_dashes(command.front().substr(0, command.front().find('=')));
    const bool foreign = std::find(kWithoutMeaning.begin(), kWithoutMeaning.end(), name) != kWithoutMeaning.end();
    fail_usage("{0}: {1} {2}; `{0} --help` lists the options, and the program's own come after it", command_name, name,
               foreign ? "of torchrun has no meaning here: leave it out" : "is no option of " + command_name);
  }
  require_usage(!command.empty(), "{0}: no program given; for example: {0} --nproc-per-node 2 -- train_gpt --steps 100",
                command_name);
  return command;
}

std::vector<std::string> words_with_dashes(const std::vector<std::string>& arguments) {
  std::vector<std::string> words;
  std::transform(arguments.begin(), arguments.end(), std::back_inserter(words), with_dashes);
  return words;
}

RunOptions parse_run_options(const std::vector<std::string>& arguments) {
  RunOptions options;
  RunFlags flags;
  CLI::App app("Starts a program on N ranks of this host, restarts it after failures, and leaves no process behind.",
               "trireme run");
  declare_run_flags(app, flags);
  app.prefix_command();
  if (auto help = parse_or_help(app, words_with_dashes(arguments))) {
    options.help = std::move(*help);
    return options;
  }
  options.command = program_words(arguments, app.remaining(), "trireme run");
  finish(options, flags, app.count("--tee") > 0);
  return options;
}

StreamPlan plan_stream(const RunOptions& options, int process, Stream stream) {
  const bool tee = options.tee && (*options.tee & stream) != 0;
  const bool marked = tee || process != 0;
  StreamPlan plan;
  plan.logged = !options.log_dir.empty();
  plan.shown = !plan.logged || tee || (!options.tee && (options.redirects & stream) == 0);
  plan.prefixed = process_count(options) > 1 && marked;
  plan.inherited = !plan.logged && !tee && process == 0;
  return plan;
}

}  // namespace trireme::launcher
