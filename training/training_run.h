// One fit(): the loop, and what happens after each step and epoch. Used by Trainer only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "trireme/core/data/loader.h"
#include "trireme/training/checkpointing.h"
#include "trireme/training/early_stopping.h"
#include "trireme/training/step_reporter.h"
#include "trireme/training/stop_signals.h"
#include "trireme/training/stop_vote.h"
#include "trireme/training/trainer.h"

namespace trireme::training {

class TrainingRun {
 public:
  // Resumes: after construction the run stands where its first step begins.
  TrainingRun(Trainer& trainer, data::Loader& loader);
  FitResult run();

 private:
  void train_step();
  void after_step();
  void after_epoch();
  TestResult evaluate();
  void begin_step();
  StopReason wish() const;
  void save();
  FitResult finish();
  void write_done(FitResult& result);
  sharding::TrainingPosition resume();
  sharding::TrainingPosition position(std::int64_t step) const;

  Trainer& trainer_;
  const TrainerOptions& options_;
  strategies::Strategy& strategy_;
  data::Loader& loader_;
  StopSignals signals_;
  cluster::WorkerStatus status_;
  Checkpointing checkpointing_;
  const sharding::TrainingPosition begin_;  // of a checkpoint, else of a fresh start
  std::int64_t steps_done_;                 // since the first start
  std::int64_t steps_total_;
  StepReporter reporter_;
  StopVote vote_;
  EarlyStopping early_stopping_;
  std::chrono::steady_clock::time_point start_;
  std::int64_t saved_at_ = -1;
  double epoch_loss_;
  double epoch_weight_;
  StopReason stop_ = StopReason::none;
  std::optional<TestResult> last_test_;  // and
  std::int64_t tested_at_ = -1;          // after so many steps
};

}  // namespace trireme::training
