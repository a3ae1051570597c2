// Trainer: the loop of docs/architecture.md with everything around it that a long run wants: progress, metrics,
// checkpoints, resume, evaluation, early stopping, and an orderly end when the machine is wanted back.
//
//   training::Trainer trainer(model, adamw, strategy, {.epochs = 5});
//   trainer.fit(loader);
//
// It knows nothing of ranks that the hand-written loop does not: the Loader yields this rank's lanes, the strategy
// communicates. The parts: training_run.h (one fit), checkpointing.h, step_reporter.h, stop_vote.h.
#pragma once

#include <atomic>

#include "trireme/core/data/loader.h"
#include "trireme/core/nn/module.h"
#include "trireme/core/optim/optimizer.h"
#include "trireme/strategies/strategy.h"
#include "trireme/training/trainer_options.h"

namespace trireme::training {

class Trainer {
 public:
  // Prepares the strategy (collective), and loads options.init_file, if any. Everything given must outlive the Trainer.
  Trainer(nn::Module& model, optim::Optimizer& optimizer, strategies::Strategy& strategy, TrainerOptions options = {});

  // Trains until the steps or epochs are done, or something asks to stop. Collective. Raises Error (and CommError when
  // a peer is lost); what was saved before stays.
  FitResult fit(data::Loader& loader);

  // Ends fit() after a step that all ranks agree on. Any thread.
  void stop() { stop_requested_ = true; }
  bool stop_requested() const { return stop_requested_; }

  nn::Module& model() { return model_; }
  optim::Optimizer& optimizer() { return optimizer_; }
  strategies::Strategy& strategy() { return strategy_; }
  const TrainerOptions& options() const { return options_; }

 private:
  nn::Module& model_;
  optim::Optimizer& optimizer_;
  strategies::Strategy& strategy_;
  TrainerOptions options_;
  std::atomic<bool> stop_requested_{false};
};

}  // namespace trireme::training
