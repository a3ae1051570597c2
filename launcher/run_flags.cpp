#include "trireme/launcher/run_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>

namespace trireme::launcher {
namespace {

constexpr const char* kExamples = R"(Examples:
  Train a GPT on every core of this machine, one rank each:
      trireme run --nproc-per-node auto -- train_gpt --steps 200
  Two ranks; each rank's output in runs/a/attempt_0/RANK/, rank-prefixed on the terminal as well:
      trireme run --nproc-per-node 2 --log-dir runs/a --tee 3 -- train_gpt --checkpoint-dir runs/a/checkpoints
  Rehearse a failure: rank 1 is killed as step 20 begins; all ranks restart and resume from the newest checkpoint:
      trireme run --nproc-per-node 2 --inject kill:rank=1,step=20 -- train_gpt --checkpoint-dir c --save-every 10
  Other people's programs, as under torchrun:
      trireme run --nproc-per-node 4 -- python3 train.py --lr 0.1

Each rank gets RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT and the rest of torchrun's
environment; a server has ROLE_NAME=server, ROLE_RANK and ROLE_WORLD_SIZE in place of the ranks' names.
Exit code: 0 all ranks are done, 1 a rank failed, 2 wrong usage, 75 saved and wants to be requeued.
SIGTERM lets the ranks save and exit with 75; a second Ctrl-C kills them at once.)";

void add_size_options(CLI::App& app, RunFlags& flags) {
  app.add_flag("--standalone", flags.standalone,
               "One host, nothing to rendezvous with (as without it: several hosts are not built yet)")
      ->group("Where and how many");
  app.add_option("--nnodes", flags.nnodes, "Hosts, N or MIN:MAX; only 1 is built yet")
      ->type_name("MIN:MAX")
      ->group("Where and how many")
      ->capture_default_str();
  app.add_option("--nproc-per-node", flags.nproc, "Ranks on this host; auto and cpu: one for each core")
      ->type_name("N|auto")
      ->group("Where and how many")
      ->capture_default_str();
  app.add_option("--servers", flags.servers,
                 "Parameter servers beside the ranks: further processes of the same program, with ROLE_NAME=server")
      ->type_name("S")
      ->check(CLI::Range(0, 4096).description(""))
      ->group("Where and how many");
  app.add_option("--devices", flags.devices, "Which GPUs; not built yet")
      ->type_name("LIST")
      ->group("Where and how many");
}

void add_rendezvous_options(CLI::App& app, RunFlags& flags) {
  const char* group = "Rendezvous";
  app.add_option("--rdzv-backend", flags.backend,
                 "embedded (c10d and static are understood); etcd, file: not built yet")
      ->type_name("NAME")
      ->group(group)
      ->capture_default_str();
  app.add_option("--rdzv-endpoint", flags.endpoint, "HOST:PORT; one host needs none")->type_name("H:P")->group(group);
  app.add_option("--rdzv-id", flags.run_id, "The job's name, TORCHELASTIC_RUN_ID in every rank")
      ->type_name("ID")
      ->group(group)
      ->capture_default_str();
  app.add_option("--master-addr", flags.master_address, "MASTER_ADDR of every rank")
      ->type_name("HOST")
      ->group(group)
      ->capture_default_str();
  app.add_option("--master-port", flags.master_port, "MASTER_PORT of every rank; 0: a free one for each attempt")
      ->type_name("PORT")
      ->check(CLI::Range(0, 65535).description(""))
      ->group(group)
      ->capture_default_str();
  app.add_option("--node-rank", flags.node_rank, "Which host this is; 0")->type_name("N")->group(group);
  app.add_option("--role", flags.role, "ROLE_NAME of every rank")->group(group)->capture_default_str();
}

void add_failure_options(CLI::App& app, RunFlags& flags) {
  const char* group = "Failures";
  app.add_option(
         "--max-restarts", flags.max_restarts,
         "Failures repaired by restarting all ranks; 0: the first one ends the job with exit code 1. A rank that "
         "exits with 2, or with 1 before its first step is done, is never restarted")
      ->type_name("R")
      ->check(CLI::Range(0, 1'000'000).description(""))
      ->group(group)
      ->capture_default_str();
  app.add_option("--stop-timeout", flags.stop_timeout, "Time for ranks to save and end after SIGTERM, then SIGKILL")
      ->type_name("SECONDS")
      ->check(CLI::Range(0L, 31'536'000L).description(""))
      ->group(group)
      ->capture_default_str();
  app.add_option(
         "--inject", flags.faults,
         "Rehearse a failure, KIND:rank=N,step=S with KIND = kill, segv, stop (hangs) or exit (also code=C), as "
         "step S (from 0) begins; may be given several times")
      ->type_name("FAULT")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--monitor-interval", flags.monitor_interval, "Accepted: deaths are known at once, nothing is polled")
      ->type_name("SECONDS")
      ->group(group);
}

void add_output_options(CLI::App& app, RunFlags& flags) {
  const char* group = "Output";
  app.add_option(
         "--log-dir", flags.log_dir,
         "Write DIR/attempt_A/RANK/stdout.log and stderr.log; the console shows the output as well unless --tee "
         "or --redirects says otherwise")
      ->type_name("DIR")
      ->group(group);
  app.add_option(
         "-t,--tee", flags.tee,
         "Streams of all ranks on the console, each line marked with its rank: 0 none, 1 stdout, 2 stderr, 3 both. "
         "Without it, rank 0's output is untouched and the others' lines are marked")
      ->type_name("0|1|2|3")
      ->check(CLI::Range(0, 3).description(""))
      ->group(group);
  app.add_option("-r,--redirects", flags.redirects, "Streams that go only to the files of --log-dir: 0 to 3, as --tee")
      ->type_name("0|1|2|3")
      ->check(CLI::Range(0, 3).description(""))
      ->group(group);
}

void add_program_options(CLI::App& app, RunFlags& flags) {
  app.add_flag("-m,--module", flags.as_module, "PROGRAM is a Python module (python3 -m)")->group("Program");
  app.add_flag("--no-python", flags.no_python, "Accepted: programs are started as they are")->group("Program");
}

// Breaks a text at spaces, so that the help fits the column beside the options' names.
std::string wrapped(const std::string& text, std::size_t width) {
  std::string lines;
  std::size_t length = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const bool fits = length == 0 || length + 1 + (end - begin) <= width;
    lines += length == 0 ? "" : (fits ? " " : "\n");
    lines.append(text, begin, end - begin);
    length = (fits && length > 0 ? length + 1 : 0) + (end - begin);
    begin = end + 1;
  }
  return lines;
}

class RunFormatter : public CLI::Formatter {
 public:
  RunFormatter() { column_width(kNames); }
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: trireme run [OPTIONS] -- PROGRAM ARGS...   (torchrun's options, with dashes or underscores)\n";
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    return wrapped(CLI::Formatter::make_option_desc(option), kWidth - kNames);
  }

 private:
  static constexpr std::size_t kNames = 34;
  static constexpr std::size_t kWidth = 110;
};

}  // namespace

void declare_run_flags(CLI::App& app, RunFlags& flags) {
  app.formatter(std::make_shared<RunFormatter>());
  app.footer(kExamples);
  add_size_options(app, flags);
  add_rendezvous_options(app, flags);
  add_failure_options(app, flags);
  add_output_options(app, flags);
  add_program_options(app, flags);
}

}  // namespace trireme::launcher
