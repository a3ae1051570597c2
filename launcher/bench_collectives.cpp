#include "trireme/launcher/bench_collectives.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <filesystem>

#include "trireme/comm/environment.h"
#include "trireme/core/base/error.h"
#include "trireme/launcher/command_line-inl.h"
#include "trireme/launcher/machine.h"
#include "trireme/launcher/run_job.h"

namespace trireme::launcher {
namespace {

constexpr const char* kHelp =
    "Measures a collective over a range of sizes and prints nccl-tests' table. Data are random, and every element "
    "that\n"
    "arrives is checked. Out of place, all_reduce and broadcast are preceded by the copy that a user would make.";
constexpr const char* kExamples =
    "Examples:\n"
    "  trireme bench all_reduce --ranks 2                         two processes of this host, shared memory\n"
    "  trireme bench all_gather --backend gloo --ranks 4 --max-bytes 1M\n"
    "  mpirun -n 4 trireme bench all_reduce --backend mpi         the ranks of a launcher: mpirun, srun, trireme run\n"
    "Exit code: 0 all results were right, 1 some were wrong.";

struct Words {
  std::string what;
  std::string min_bytes = "1K";
  std::string max_bytes = "64M";
  std::string dtype = "f32";
  std::string op = "sum";
  std::string order = "canonical";
};

void declare(CLI::App& app, Words& words, CollectiveOptions& options) {
  CollectivePlan& plan = options.plan;
  app.add_option("COLLECTIVE", words.what, "all_reduce, reduce_scatter, all_gather, all_to_all, broadcast or barrier")
      ->required();
  app.add_option("--backend", options.backend, "auto, local, shm, gloo, mpi or hierarchical")->capture_default_str();
  app.add_option("--ranks", options.ranks, "Ranks to start; under a launcher its ranks are used")
      ->check(CLI::Range(1, 4096));
  app.add_option("--interface", options.interface, "Network interface that other hosts reach");
  app.add_option("-b,--min-bytes", words.min_bytes, "Bytes of the first row")->capture_default_str();
  app.add_option("-e,--max-bytes", words.max_bytes, "Bytes of the last row")->capture_default_str();
  app.add_option("-f,--factor", plan.factor, "From one row to the next")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("-n,--iterations", plan.iterations, "Timed calls of a row")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("-w,--warmup", plan.warmup, "Calls before them")->check(CLI::Range(0, 1000000))->capture_default_str();
  app.add_option("-d,--dtype", words.dtype, "f32, f64, bf16, f16, i64, i32, u8 or bool")->capture_default_str();
  app.add_option("-o,--op", words.op, "sum, prod, min or max")->capture_default_str();
  app.add_option("-r,--root", plan.root, "Of broadcast")->check(CLI::Range(0, 1 << 20))->capture_default_str();
  app.add_option("--reduce-order", words.order, "canonical or fast")->capture_default_str();
  app.add_option("-c,--check", plan.check, "Compare every element with what must arrive: 0 or 1")
      ->capture_default_str();
  app.add_option("--timeout", options.timeout_seconds, "Seconds until a collective that does not end is an error")
      ->check(CLI::Range(0.001, 1e6))
      ->capture_default_str();
  app.footer(kExamples);
}

void finish(const Words& words, CollectiveOptions& options) {
  CollectivePlan& plan = options.plan;
  const std::optional<Collective> what = collective_from_name(words.what);
  require_usage(what.has_value(),
                "trireme bench {}: no such thing to measure; machine, all_reduce, reduce_scatter, all_gather, "
                "all_to_all, broadcast and barrier are",
                words.what);
  plan.what = *what;
  plan.min_bytes = std::max<std::int64_t>(1, parse_bytes("--min-bytes", words.min_bytes));
  plan.max_bytes = parse_bytes("--max-bytes", words.max_bytes);
  require_usage(plan.min_bytes <= plan.max_bytes, "trireme bench: --min-bytes {} is more than --max-bytes {}",
                words.min_bytes, words.max_bytes);
  try {
    plan.dtype = dtype_from_name(words.dtype);
  } catch (const Error& error) {
    fail_usage("trireme bench: --dtype: {}", error.what());
  }
  plan.op = op_from_name(words.op);
  require_usage(words.order == "canonical" || words.order == "fast",
                "trireme bench: --reduce-order {}: canonical or fast is expected", words.order);
  plan.order = words.order == "fast" ? comm::ReduceOrder::fast : comm::ReduceOrder::canonical;
}

// The same command without --ranks, as every rank that is started runs it.
std::vector<std::string> without_ranks(const std::vector<std::string>& arguments) {
  std::vector<std::string> kept;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--ranks") {
      ++i;
    } else if (!arguments[i].starts_with("--ranks=")) {
      kept.push_back(arguments[i]);
    }
  }
  return kept;
}

int start_processes(const std::vector<std::string>& arguments, int ranks) {
  std::vector<std::string> job = {"--nproc-per-node",
                                  std::to_string(ranks),
                                  "--max-restarts",
                                  "0",
                                  "--",
                                  std::filesystem::read_symlink("/proc/self/exe").string(),
                                  "bench"};
  const std::vector<std::string> rest = without_ranks(arguments);
  job.insert(job.end(), rest.begin(), rest.end());
  return run_job(job);
}

}  // namespace

CollectiveOptions parse_collective_options(const std::vector<std::string>& arguments) {
  CollectiveOptions options;
  Words words;
  CLI::App app(kHelp, "trireme bench");
  declare(app, words, options);
  if (auto help = parse_or_help(app, arguments, "trireme bench all_reduce --help")) {
    options.help = std::move(*help);
    return options;
  }
  finish(words, options);
  return options;
}

int bench_collectives(const std::vector<std::string>& arguments) {
  const CollectiveOptions options = parse_collective_options(arguments);
  if (!options.help.empty()) {
    fmt::print("{}", options.help);
    return 0;
  }
  const comm::EnvironmentOptions environment{
      .backend = options.backend,
      .timeout = std::chrono::milliseconds(static_cast<std::int64_t>(options.timeout_seconds * 1e3)),
      .interface = options.interface};
  const int launched = comm::launched_rank().size;
  require_usage(launched == 1 || options.ranks == 0 || options.ranks == launched,
                "trireme bench: --ranks {} given, but the launcher has started {}; leave it out", options.ranks,
                launched);
  const int ranks = launched > 1 ? launched : options.ranks > 0 ? options.ranks : std::max(2, usable_cores());
  std::atomic<std::int64_t> wrong{0};
  const auto body = [&](const comm::World& world) { wrong = run_collective(*world.communicator(), options.plan); };
  if (launched == 1 && options.backend == "local") {
    comm::run_local(ranks, body, environment);
  } else if (launched == 1 && ranks > 1) {
    require_usage(options.backend != "mpi",
                  "trireme bench: ranks over MPI are started by its own launcher: mpirun -n {} trireme bench {} "
                  "--backend mpi",
                  ranks, arguments.front());
    return start_processes(arguments, ranks);
  } else {
    body(comm::from_environment(environment));
  }
  return wrong == 0 ? 0 : 1;
}

}  // namespace trireme::launcher
