#include "trireme/launcher/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "trireme/core/base/error.h"
#include "trireme/launcher/bench.h"
#include "trireme/launcher/ckpt.h"
#include "trireme/launcher/doctor.h"
#include "trireme/launcher/plan.h"
#include "trireme/launcher/run_job.h"

namespace trireme::launcher {
namespace {

using Arguments = std::vector<std::string>;

struct Command {
  const char* name;
  const char* help;
  int (*run)(const Arguments&);  // null: not built yet
  const char* instead = "";      // what to do while it is not built
};

constexpr std::array<Command, 7> kCommands = {{
    {"run", "start a program on N ranks, restart it after failures, leave nothing behind", run_job},
    {"bench", "measure this machine, or a collective between ranks", run_bench},
    {"doctor", "what this machine and this build can do, and what to change", run_doctor},
    {"ckpt", "list, verify, compare, merge, convert and prune checkpoints", run_ckpt},
    {"plan", "memory and traffic of a job before it starts, and what to change if it does not fit", run_plan},
    {"status", "what a running job does", nullptr, "give the job --log-dir or --metrics and read those files"},
    {"simulate", "a cluster of many hosts, simulated", nullptr, "use `trireme run` on one host"},
}};

std::string help() {
  std::string text =
      "Trireme: distributed data-parallel training.\n\nUsage: trireme COMMAND [OPTIONS]   (`trireme COMMAND --help` "
      "explains one)\n\nCommands:\n";
  for (const Command& command : kCommands) {
    text += fmt::format("  {:<10}{}{}\n", command.name, command.help, command.run == nullptr ? " (not built yet)" : "");
  }
  return text + R"(
Examples:
  trireme doctor
  trireme plan --nproc-per-node 4 -- train_gpt --layers 12 --width 768
  trireme run --nproc-per-node auto -- train_gpt --steps 200
  trireme run --nproc-per-node 2 --log-dir runs/a -- train_gpt --checkpoint-dir runs/a/checkpoints --save-every 50

Exit codes: 0 done, 1 error, 2 wrong usage, 75 saved and wants to be requeued.
)";
}

}  // namespace

int run_command(const Arguments& arguments) {
  const std::string name = arguments.empty() ? "" : arguments.front();
  if (name == "--help" || name == "-h" || name == "help") {
    fmt::print("{}", help());
    return 0;
  }
  if (name == "--version") {
    fmt::print("trireme {}\n", TRIREME_VERSION);
    return 0;
  }
  if (name.empty()) {
    fail_usage("trireme: no command given\n\n{}", help());
  }
  const auto command =
      std::find_if(kCommands.begin(), kCommands.end(), [&](const Command& known) { return name == known.name; });
  require_usage(command != kCommands.end(), "trireme: '{}' is no command; `trireme --help` lists them", name);
  require_usage(command->run != nullptr, "trireme {}: not built yet; for now, {}", name, command->instead);
  return command->run(Arguments(arguments.begin() + 1, arguments.end()));
}

}  // namespace trireme::launcher
