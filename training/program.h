// The frame of a training program: options in, a world of ranks, one clear line for every error, an exit code.
//
//   int main(int argc, char** argv) {
//     training::ProgramOptions options{.global_batch = 12};
//     training::OptionParser parser("train_gpt", "Trains a GPT on text.", options);
//     return training::run_program(argc, argv, parser, options, [&](training::Session& session) { ... return 0; });
//   }
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "trireme/cluster/plan_request.h"
#include "trireme/cluster/process_end.h"
#include "trireme/cluster/worker_status.h"
#include "trireme/comm/communicator.h"
#include "trireme/core/data/loader.h"
#include "trireme/strategies/parameter_server/wire/endpoint.h"
#include "trireme/strategies/strategy.h"
#include "trireme/training/job_plan.h"
#include "trireme/training/option_parser.h"
#include "trireme/training/program_options.h"
#include "trireme/training/trainer_options.h"

namespace trireme::training {

using cluster::kExitDone;
using cluster::kExitError;
using cluster::kExitRequeue;
using cluster::kExitUsage;

// What one rank's run of the program is given.
class Session {
 public:
  // `request`: a plan is wanted instead of a run.
  Session(comm::World world, const ProgramOptions& options, cluster::WorkerStatus status,
          std::optional<cluster::PlanRequest> request = {})
      : world_(std::move(world)), options_(options), status_(std::move(status)), request_(request) {}
  // A process's place among workers and parameter servers. A server has a world of its own, alone.
  struct ServerPlace {
    std::shared_ptr<strategies::parameter_server::Endpoint> endpoint;
    int workers = 1;
    int servers = 0;
  };
  Session(comm::World world, const ProgramOptions& options, cluster::WorkerStatus status, ServerPlace place)
      : world_(std::move(world)), options_(options), status_(std::move(status)), place_(std::move(place)) {}

  const comm::World& world() const { return world_; }
  const ProgramOptions& options() const { return options_; }
  std::int64_t lanes() const { return options_.lanes_or(world_.default_lanes()); }

  // Call once model and optimizer are made, before anything large is: raises Error on all ranks if the step cannot fit
  // into the memory of their machines. True if this process is not to train: it was started by `trireme plan`, which
  // has its plan now, or it is a parameter server, which has served until every worker was done. Leave with kExitDone
  // then. Collective.
  bool plan(nn::Module& model, optim::Optimizer& optimizer, const StepFormula& step = {}) const;
  // The strategy that --strategy names, with the options that belong to it. prepare() is the caller's, or the
  // Trainer's.
  std::unique_ptr<strategies::Strategy> make_strategy() const;
  // How batches are cut and ordered, and everything that a Trainer is told by the common options. `unit` is what the
  // loss counts: "tokens", "examples".
  data::LoaderOptions loader_options() const;
  TrainerOptions trainer_options(std::string_view unit) const;
  // Tells the person how the run ended, params_hash included, and returns the program's exit code.
  int exit_code(const FitResult& result) const;
  // Text for the person who started the program: once on stdout, whatever the number of ranks.
  void print(std::string_view text) const;

 private:
  bool is_server() const;
  void serve(const nn::Module& model, optim::Optimizer& optimizer) const;

  comm::World world_;
  const ProgramOptions& options_;
  cluster::WorkerStatus status_;
  std::optional<cluster::PlanRequest> request_;
  ServerPlace place_;
};

// Parses, starts the ranks that the options and the environment name (processes that a launcher started, or threads
// with
// --backend local), and runs `body` on each. Returns the exit code: rank 0's body's, or after an error 1 or 2 (usage).
// SIGUSR2 makes a running program tell on stderr what its ranks do (status_signal.h).
// With --strategy parameter_server some of these are servers: they run `body` as far as Session::plan(), which serves.
// An error is one line on stderr: "error: [rank 1 on HOST:] message"; a usage error, which all ranks meet, only on rank
// 0. Never raises, never aborts.
int run_program(int argc, const char* const* argv, OptionParser& parser, ProgramOptions& options,
                const std::function<int(Session&)>& body) noexcept;

// The line without its newline, for errors of every kind. `who`: "rank 1", "server 0"; empty: nobody to name.
std::string error_line(std::string_view message, std::string_view who, std::string_view host);

}  // namespace trireme::training
