// Session of program.h: from option values to the objects of a run.
#include <cstdio>

#include "trireme/core/base/log.h"
#include "trireme/core/nn/units.h"
#include "trireme/strategies/memory_check.h"
#include "trireme/training/program.h"
#include "trireme/training/strategy_options.h"

namespace trireme::training {
namespace {

// --backend local makes its ranks itself, on one host.
PlannedWorld planned_world(const cluster::PlanRequest& request, const ProgramOptions& options) {
  if (options.backend == "local") {
    const int ranks = static_cast<int>(options.ranks);
    return {ranks, ranks, ranks};
  }
  return {request.ranks, request.ranks_per_node, request.ranks};
}

}  // namespace

bool Session::plan(nn::Module& model, optim::Optimizer& optimizer, const StepFormula& step) const {
  if (is_server()) {
    serve(model, optimizer);
    return true;
  }
  nn::checkpoint_activations(model, options_.activation_checkpointing);
  if (!request_) {
    ProgramOptions options = options_;
    options.backend = world_->backend();
    const PlannedWorld world{world_.size(), world_.size(), world_.default_lanes()};
    const JobPlan plan = make_job_plan(options, world, model, optimizer, step);
    strategies::require_memory(*world_.communicator(), options_.strategy, plan.memory);
    return false;
  }
  const PlannedWorld world = planned_world(*request_, options_);
  const JobPlan plan = make_job_plan(options_, world, model, optimizer, step);
  const MemoryLimit limit = memory_limit();
  const bool fits = limit.bytes == 0 || plan.bytes_per_node() <= limit.bytes;
  const std::vector<Remedy> remedies =
      fits ? std::vector<Remedy>{} : remedies_of(options_, world, model, optimizer, step);
  request_->reply(json_of(plan, options_, step.activations != nullptr, limit, remedies));
  return true;
}

bool Session::is_server() const {
  return place_.endpoint != nullptr && place_.endpoint->self().role == strategies::parameter_server::Role::server;
}

void Session::serve(const nn::Module& model, optim::Optimizer& optimizer) const {
  using namespace strategies::parameter_server;
  const strategies::ParameterServerOptions how = parameter_server_options(options_, place_.servers);
  const Plan plan = plan_for(model, optimizer, place_.workers, how);
  const int index = place_.endpoint->self().index;
  log::info("server {} of {} serves {} workers: {} of {} pieces of {} variables", index, place_.servers, place_.workers,
            plan.pieces_on(index).size(), plan.pieces.size(), plan.variables.size());
  strategies::parameter_server::serve(*place_.endpoint, plan, optimizer, {.timeout = how.timeout});
  log::info("server {}: all workers have left", index);
}

std::unique_ptr<strategies::Strategy> Session::make_strategy() const {
  require_usage(!is_server(),
                "this program cannot serve: it does not call session.plan(model, optimizer) before it trains; "
                "training/program.h says how");
  require_usage(!request_,
                "this program cannot be planned: it does not call session.plan(model, optimizer) before it trains; "
                "training/program.h says how");
  std::unique_ptr<strategies::Strategy> strategy;
  if (options_.strategy == "fully_sharded") {
    strategy = std::make_unique<strategies::FullySharded>(world_, fully_sharded_options(options_));
  } else if (options_.strategy == "parameter_server") {
    require_usage(place_.endpoint != nullptr,
                  "this program does not start parameter servers; training/program.h says how");
    strategy = std::make_unique<strategies::ParameterServer>(world_, *place_.endpoint,
                                                             parameter_server_options(options_, place_.servers));
  } else {
    strategy = std::make_unique<strategies::Mirrored>(world_, mirrored_options(options_));
  }
  strategy->clip_grad_norm(options_.clip_norm);
  return strategy;
}

data::LoaderOptions Session::loader_options() const {
  return {.batch_size = options_.global_batch,
          .lanes = lanes(),
          .accumulate = options_.accumulate,
          .order = options_.order == "sequential" ? data::Order::sequential : data::Order::shuffled,
          .seed = options_.seed};
}

TrainerOptions Session::trainer_options(std::string_view unit) const {
  const optim::Schedule schedule{
      .kind = options_.lr_schedule == "cosine" ? optim::Schedule::Kind::cosine : optim::Schedule::Kind::constant,
      .peak = options_.lr,
      .warmup_steps = options_.warmup_steps,
      .total_steps = 0};
  return {.steps = options_.steps,
          .epochs = options_.epochs.value_or(1),
          .schedule = schedule,
          .activation_checkpointing = options_.activation_checkpointing,
          .checkpoints = {.directory = options_.checkpoint_dir,
                          .save_every = options_.save_every,
                          .keep = options_.keep,
                          .resume = options_.resume,
                          .stop_on_error = options_.on_save_error == "stop"},
          .init_file = options_.init,
          .export_file = options_.export_file,
          .metrics_file = options_.metrics,
          .progress = progress_mode_from_name(options_.progress),
          .unit = unit,
          .time_limit = options_.time_limit,
          .status = status_};
}

int Session::exit_code(const FitResult& result) const {
  print(fmt::format("params_hash {}", result.params_hash));
  const bool asked = result.reason == StopReason::signal || result.reason == StopReason::time_limit;
  if (!asked) {
    return kExitDone;
  }
  if (result.saved) {
    return kExitRequeue;
  }
  // Without --checkpoint-dir a time limit is just another way to say how long to train; a signal is an end before that.
  return result.reason == StopReason::time_limit && options_.checkpoint_dir.empty() ? kExitDone : kExitError;
}

void Session::print(std::string_view text) const {
  if (world_.rank() == 0 && !is_server()) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fputc('\n', stdout);
    std::fflush(stdout);
  }
}

}  // namespace trireme::training
