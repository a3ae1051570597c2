// The checks of program_options.h: what cannot be honoured is an error before anything starts.
#include <unistd.h>

#include <cctype>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "trireme/cluster/plan_request.h"
#include "trireme/comm/environment.h"
#include "trireme/comm/environment/interfaces.h"
#include "trireme/core/base/error.h"
#include "trireme/training/program_options.h"

namespace trireme::training {
namespace {

namespace fs = std::filesystem;

// A file that will be written at the end of a long run must be writable at its start.
void check_writable_file(const char* option, const std::string& file) {
  if (file.empty()) {
    return;
  }
  std::error_code ignored;
  require_usage(!fs::is_directory(file, ignored), "{} {}: is a directory; give a file", option, file);
  const fs::path parent = fs::absolute(file, ignored).parent_path();
  require_usage(fs::is_directory(parent, ignored), "{} {}: the directory {} does not exist; make it first", option,
                file, parent.string());
  const bool exists = fs::exists(file, ignored);
  require_usage(access(exists ? file.c_str() : parent.c_str(), W_OK) == 0, "{} {}: not writable by this user{}", option,
                file, errno_text(errno));
}

void check_built(const ProgramOptions& options) {
  require_usage(options.backend != "nccl", "--backend nccl: not built in this version; use --backend auto");
  require_usage(options.device != "cuda",
                "--device cuda: this version is built without CUDA and cannot use a GPU; use --device cpu");
}

}  // namespace

std::variant<bool, int> parse_reshard_after_forward(const std::string& text) {
  if (text == "true" || text == "false") {
    return text == "true";
  }
  int ranks = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ranks);
  require_usage(error == std::errc() && end == text.data() + text.size() && ranks >= 1,
                "--reshard-after-forward: '{}' given, true, false or a number of ranks expected", text);
  return ranks;
}

std::optional<std::pair<std::string, std::int64_t>> parse_partitioner(const std::string& text) {
  if (text.empty()) {
    return std::nullopt;
  }
  const std::size_t colon = text.find(':');
  const std::string rule = text.substr(0, colon);
  const std::string digits = colon == std::string::npos ? "" : text.substr(colon + 1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool whole = error == std::errc() && end == digits.data() + digits.size() && number >= 1;
  constexpr std::int64_t kMostPieces = 1 << 20;
  require_usage((rule == "min_size" || rule == "max_size" || rule == "fixed") && whole &&
                    (rule != "fixed" || number <= kMostPieces),
                "--partitioner: '{}' given, fixed:PIECES, min_size:BYTES or max_size:BYTES expected", text);
  return std::pair(rule, number);
}

namespace {

// Of a strategy without servers.
void check_no_servers(const ProgramOptions& options) {
  const comm::ProcessRole role = comm::launched_role(0);
  require_usage(role.servers == 0,
                "--strategy {}: the launcher has started {} parameter server(s), which it has no "
                "use for; leave --servers out of `trireme run`, or use --strategy parameter_server",
                options.strategy, role.servers);
}

void check_servers(const ProgramOptions& options) {
  require_usage(!cluster::PlanRequest::from_environment(),
                "--strategy parameter_server: `trireme plan` does not plan it in this version; a worker needs what a "
                "mirrored rank does, less tables and the optimizer's state");
  const bool threads = options.backend == "local";
  const std::int64_t servers =
      threads ? options.servers : comm::launched_role(static_cast<int>(options.servers)).servers;
  require_usage(servers > 0,
                "--strategy parameter_server: no servers were started; use `trireme run --servers S --nproc-per-node W "
                "-- PROGRAM ...`, under mpirun or srun --servers S, or in one process --backend local --ranks W "
                "--servers S");
  require_usage(options.backend != "mpi" && options.backend != "hierarchical",
                "--backend {}: not built for --strategy parameter_server; use --backend auto, shm or gloo",
                options.backend);
  require_usage(options.compute_dtype() == "f32",
                "--strategy parameter_server: {} given, f32 expected; leave --precision and --param-dtype out",
                options.compute_dtype());
  require_usage(
      options.checkpoint_dir.empty(),
      "--checkpoint-dir: checkpoints of strategy parameter_server are not built in this version; leave it out");
  require_usage(options.reduce_order == "canonical",
                "--strategy parameter_server: --reduce-order {} given; servers add in canonical order only",
                options.reduce_order);
  constexpr std::int64_t kMostServers = 1024;
  require_usage(options.servers <= kMostServers, "--servers {}: at most {} expected", options.servers, kMostServers);
  parse_partitioner(options.partitioner);
}

}  // namespace

void check_options(const ProgramOptions& options) {
  check_built(options);
  const bool with_servers = options.strategy == "parameter_server";
  with_servers ? check_servers(options) : check_no_servers(options);
  require_usage(options.zero_stage <= 3, "--zero-stage {}: 1, 2 or 3 expected", options.zero_stage);
  parse_reshard_after_forward(options.reshard_after_forward);
  require_usage(options.ranks == 1 || options.backend == "local",
                "--ranks {} given without --backend local: ranks as threads need that backend; for processes use "
                "trireme run --nproc-per-node {}",
                options.ranks, options.ranks);
  const comm::ProcessRole role =
      comm::launched_role(options.backend == "local" ? 0 : static_cast<int>(options.servers));
  const int launched = role.workers + role.servers;
  if (!options.interface.empty()) {
    comm::address_of_interface(options.interface, !role.server && role.index == 0);
  }
  require_usage(
      options.backend != "local" || launched == 1,
      "--backend local: ranks are threads of one process, but a launcher started {} processes; use --backend auto, "
      "or start the program alone",
      launched);
  constexpr std::int64_t kMostThreads = 1024;
  require_usage(options.threads <= kMostThreads, "--threads {}: at most {} expected; as many as the machine has cores",
                options.threads, kMostThreads);
  require_usage(options.ranks <= kMostThreads, "--ranks {}: at most {} expected with --backend local", options.ranks,
                kMostThreads);
  require_usage(options.timeout_seconds > 0, "--timeout: {} given, a number of seconds above 0 expected",
                options.timeout_seconds);
  std::error_code ignored;
  require_usage(!fs::exists(options.checkpoint_dir, ignored) || fs::is_directory(options.checkpoint_dir, ignored),
                "--checkpoint-dir {}: is a file, a directory expected; give another name", options.checkpoint_dir);
  require_usage(options.save_every == 0 || !options.checkpoint_dir.empty(),
                "--save-every {} given without --checkpoint-dir: say where to save", options.save_every);
  check_writable_file("--metrics", options.metrics);
  check_writable_file("--export", options.export_file);
}

void check_batch_split(const ProgramOptions& options, std::int64_t world_size, std::int64_t default_lanes) {
  const std::int64_t lanes = options.lanes_or(default_lanes);
  require_usage(lanes >= world_size, "--lanes {}: fewer lanes than ranks ({}); use --lanes {} or fewer ranks", lanes,
                world_size, world_size);
  const std::int64_t leaves = lanes * options.accumulate;
  const std::int64_t nearest = (options.global_batch + leaves - 1) / leaves * leaves;
  require_usage(options.global_batch % leaves == 0,
                "--global-batch {}: a multiple of --lanes {} x --accumulate {} expected; use --global-batch {}",
                options.global_batch, lanes, options.accumulate, nearest);
}

std::chrono::seconds parse_duration(const std::string& text) {
  std::int64_t total = 0;
  std::int64_t number = -1;
  bool clock = false;                   // HH:MM:SS
  constexpr std::size_t kLongest = 10;  // what is computed below fits by far
  bool valid = !text.empty() && text.size() <= kLongest;
  for (const char c : text.substr(0, kLongest)) {
    if (std::isdigit(static_cast<unsigned char>(c)) != 0) {
      number = (number < 0 ? 0 : number) * 10 + (c - '0');
      continue;
    }
    valid = valid && number >= 0 && (c == 's' || c == 'm' || c == 'h' || c == 'd' || c == ':');
    clock = clock || c == ':';
    total = c == ':' ? (total + number) * 60
                     : total + number * (c == 'd'   ? 86400
                                         : c == 'h' ? 3600
                                         : c == 'm' ? 60
                                                    : 1);
    number = -1;
  }
  valid = valid && (!clock || number >= 0);
  total += number < 0 ? 0 : number;
  require_usage(valid && total > 0, "--time-limit: '{}' given, a duration as 90s, 15m, 2h30m or 01:30:00 expected",
                text);
  return std::chrono::seconds(total);
}

}  // namespace trireme::training
