#include "trireme/training/training_run.h"

#include <cmath>
#include <utility>

#include "trireme/core/base/activity.h"
#include "trireme/training/model_files.h"
#include "trireme/training/process_stats.h"

namespace trireme::training {
namespace {

std::int64_t steps_planned(const TrainerOptions& options, const data::Loader& loader) {
  return options.steps ? *options.steps : options.epochs * loader.steps_per_epoch();
}

ReporterOptions reporter_options(const TrainerOptions& options, comm::Communicator& ranks, std::int64_t first_step,
                                 std::int64_t steps_total) {
  return {.active = ranks.rank() == 0,
          .metrics_file = options.metrics_file,
          .append = first_step > 0,
          .progress = options.progress,
          .unit = options.unit,
          .first_step = first_step,
          .steps_total = steps_total,
          .world_size = ranks.size()};
}

}  // namespace

TrainingRun::TrainingRun(Trainer& trainer, data::Loader& loader)
    : trainer_(trainer),
      options_(trainer.options()),
      strategy_(trainer.strategy()),
      loader_(loader),
      status_(options_.status ? *options_.status : cluster::WorkerStatus::from_environment()),
      checkpointing_(options_.checkpoints, strategy_, trainer.optimizer()),
      begin_(resume()),
      steps_done_(begin_.step),
      steps_total_(steps_planned(options_, loader)),
      reporter_(reporter_options(options_, strategy_.communicator(), steps_done_, steps_total_)),
      vote_(strategy_.communicator(), strategy_.is_lockstep()),
      early_stopping_(options_.early_stopping.value_or(EarlyStoppingOptions{.patience = 0}), begin_.best_seen),
      start_(std::chrono::steady_clock::now()),
      saved_at_(steps_done_),
      epoch_loss_(begin_.epoch_loss),
      epoch_weight_(begin_.epoch_weight) {
  require_usage(strategy_.is_lockstep() || !options_.early_stopping,
                "early stopping needs all workers in the same step; use --consistency sync, or leave --patience out");
}

FitResult TrainingRun::run() {
  reporter_.start();
  stop_ = steps_done_ >= steps_total_   ? StopReason::finished
          : early_stopping_.exhausted() ? StopReason::requested  // so ended the run that is gone on with
                                        : StopReason::none;
  while (stop_ == StopReason::none) {
    begin_step();
    train_step();
    after_step();
  }
  vote_.finish();
  return finish();
}

// One step: the body runs once for each micro-batch of this rank; none in a short last batch that has nothing for it,
// and then the Loader has the strategy take part.
void TrainingRun::train_step() {
  for (const data::Batch& batch : loader_.until_step(steps_done_ + 1)) {
    trainer_.optimizer().zero_grad();
    options_.loss(batch).backward();
    strategy_.step();
  }
}

void TrainingRun::begin_step() {
  if (options_.schedule) {
    optim::Schedule schedule = *options_.schedule;
    schedule.total_steps = schedule.total_steps > 0 ? schedule.total_steps : steps_total_;
    trainer_.optimizer().set_learning_rate(schedule(steps_done_));
  }
  if (status_.report_step(steps_done_) == cluster::Rehearsal::disk_full) {
    checkpointing_.fill_disk();
  }
}

void TrainingRun::after_step() {
  const strategies::StepReport& report = strategy_.report();
  const std::int64_t step = steps_done_++;
  reporter_.step(report, step, trainer_.optimizer().learning_rate(), save_metrics());
  epoch_loss_ += report.loss * report.weight;
  epoch_weight_ += report.weight;
  if (options_.on_step_end) {
    options_.on_step_end({step, report, trainer_.optimizer().learning_rate()});
  }
  if (steps_done_ % loader_.steps_per_epoch() == 0) {
    after_epoch();
  }
  const StopReason agreed = vote_.vote(wish());
  stop_ = steps_done_ >= steps_total_ ? StopReason::finished : agreed;
  checkpointing_.check();
  const std::int64_t every = options_.checkpoints.save_every;
  if (stop_ != StopReason::none || (every > 0 && steps_done_ % every == 0)) {
    save();
  }
}

void TrainingRun::after_epoch() {
  EpochEnd end{.epoch = steps_done_ / loader_.steps_per_epoch() - 1,
               .steps = steps_done_,
               .mean_loss = epoch_weight_ > 0 ? epoch_loss_ / epoch_weight_ : std::nan("")};
  epoch_loss_ = 0;
  epoch_weight_ = 0;
  if (options_.evaluate) {
    end.test = evaluate();
    reporter_.epoch({.epoch = end.epoch, .steps = end.steps, .test = *end.test});
    reporter_.skip_time();
  }
  if (options_.on_epoch_end) {
    options_.on_epoch_end(end);
  }
  if (options_.early_stopping && early_stopping_.should_stop(end.test ? end.test->watched() : end.mean_loss)) {
    reporter_.note(fmt::format("no improvement since {} epochs: stopping early", options_.early_stopping->patience));
    trainer_.stop();
  }
}

TestResult TrainingRun::evaluate() {
  if (!last_test_ || tested_at_ != steps_done_) {
    const PhaseScope evaluating(Phase::evaluating);
    const NoGrad no_grad;
    trainer_.model().train(false);
    last_test_ = options_.evaluate();
    trainer_.model().train(true);
    tested_at_ = steps_done_;
  }
  return *last_test_;
}

StopReason TrainingRun::wish() const {
  if (StopSignals::received() != 0) {
    return StopReason::signal;
  }
  if (options_.time_limit.count() > 0 && std::chrono::steady_clock::now() - start_ >= options_.time_limit) {
    return StopReason::time_limit;
  }
  return trainer_.stop_requested() ? StopReason::requested : StopReason::none;
}

sharding::TrainingPosition TrainingRun::resume() {
  const sharding::TrainingPosition begin = checkpointing_.resume(position(0)).value_or(sharding::TrainingPosition{});
  loader_.seek(begin.step);
  return begin;
}

sharding::TrainingPosition TrainingRun::position(std::int64_t step) const {
  return {.step = step,
          .epoch = step / loader_.steps_per_epoch(),
          .batch_in_epoch = step % loader_.steps_per_epoch(),
          .optimizer_steps = trainer_.optimizer().steps(),
          .seed = loader_.seed(),
          .lanes = loader_.lanes(),
          .accumulate = loader_.accumulate(),
          .global_batch = loader_.batch_size(),
          .strategy = std::string(strategy_.name()),
          .extra = {{"--order", loader_.order() == data::Order::sequential ? "sequential" : "shuffled"},
                    {"the number of items", std::to_string(loader_.items_per_epoch())}}};
}

void TrainingRun::save() {
  if (!checkpointing_.enabled() || saved_at_ == steps_done_) {
    return;
  }
  sharding::TrainingPosition here = position(steps_done_);
  here.epoch_loss = epoch_loss_;
  here.epoch_weight = epoch_weight_;
  here.best_seen = early_stopping_.seen();
  checkpointing_.save(here);
  saved_at_ = steps_done_;
  if (options_.on_save) {
    options_.on_save(steps_done_);
  }
}

// What saving has cost since the last call.
std::optional<SaveMetrics> TrainingRun::save_metrics() {
  if (!checkpointing_.enabled()) {
    return std::nullopt;
  }
  const checkpoint::SaveStatistics now = checkpointing_.statistics();
  const std::chrono::duration<double> stall = now.stall_total - std::exchange(stall_told_, now.stall_total);
  return SaveMetrics{.stall_seconds = stall.count(),
                     .saved_step = checkpointing_.last_safe_step(),
                     .saves = now.saves,
                     .waits = now.waits,
                     .memory_bytes = static_cast<std::int64_t>(now.memory_bytes)};
}

FitResult TrainingRun::finish() {
  FitResult result{.steps = steps_done_,
                   .reason = stop_,
                   .loss = strategy_.report().step >= 0 ? strategy_.report().loss : std::nan("")};
  result.saved = checkpointing_.finish() && saved_at_ == steps_done_ && checkpointing_.enabled();
  if (stop_ == StopReason::signal) {
    StopSignals::stay();
  }
  const bool interrupted = stop_ == StopReason::signal || (stop_ == StopReason::time_limit && checkpointing_.enabled());
  if (!interrupted && !options_.export_file.empty()) {
    const PhaseScope exporting(Phase::exporting);
    export_model(options_.export_file, strategy_);
  }
  if (!interrupted && options_.evaluate && options_.evaluate_at_end) {
    result.test = evaluate();
  }
  result.params_hash = strategies::params_hash(strategy_);
  if (interrupted) {
    const char* cause = stop_ == StopReason::signal ? signal_name(StopSignals::received()) : "time limit";
    reporter_.stopped(steps_done_, cause, result.saved);
    reporter_.close();
    reporter_.tell(
        fmt::format("stopped after step {} ({}); {}", steps_done_ - 1, cause,
                    result.saved ? "the checkpoint is complete" : "nothing was saved: --checkpoint-dir was not given"));
    return result;
  }
  write_done(result);
  reporter_.close();
  return result;
}

void TrainingRun::write_done(FitResult& result) {
  const std::string carrier = strategy_.carrier();
  stall_told_ = {};
  result.items_per_second = reporter_.done({.steps = steps_done_,
                                            .params_hash = result.params_hash,
                                            .backend = carrier,
                                            .comm_bytes = strategy_.bytes_moved(),
                                            .save = save_metrics(),
                                            .test = result.test});
}

}  // namespace trireme::training
