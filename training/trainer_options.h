// What a Trainer may be told. Every field has a default; a program sets what it cares about.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "trireme/cluster/worker_status.h"
#include "trireme/core/autograd/tensor.h"
#include "trireme/core/data/loader.h"
#include "trireme/core/optim/schedule.h"
#include "trireme/strategies/strategy.h"
#include "trireme/training/early_stopping.h"
#include "trireme/training/progress.h"
#include "trireme/training/stop_vote.h"
#include "trireme/training/test_result.h"

namespace trireme::training {

struct StepEnd {
  std::int64_t step = 0;  // from 0, since the first start
  const strategies::StepReport& report;
  double learning_rate = 0;
};

struct EpochEnd {
  std::int64_t epoch = 0;               // from 0
  std::int64_t steps = 0;               // finished so far
  double mean_loss = 0;                 // over the epoch's steps, those before a resume included
  std::optional<TestResult> test = {};  // where there is a test set
};

struct CheckpointOptions {
  std::string directory = {};   // empty: no checkpoints
  std::int64_t save_every = 0;  // steps; 0: only at the end and when told to stop
  std::int64_t keep = 3;
  std::string resume = "auto";  // auto: the newest complete one, if any | none | PATH
  bool stop_on_error = true;    // false: a failed save is a warning
};

struct TrainerOptions {
  std::optional<std::int64_t> steps = {};  // in all, since the first start; nothing: `epochs` decides
  std::int64_t epochs = 1;
  std::optional<optim::Schedule> schedule = {};  // nothing: the optimizer's own rate; total_steps 0: those of the run
  bool activation_checkpointing = false;         // of all units of the model (core/nn/units.h); without units a warning
  CheckpointOptions checkpoints = {};
  std::string init_file = {};    // safetensors: parameters to begin with, unless a checkpoint is resumed
  std::string export_file = {};  // safetensors: the whole model at the end
  std::string metrics_file = {};
  ProgressMode progress = ProgressMode::automatic;
  std::string_view unit = "examples";                // what a loss counts: "tokens", "examples"
  std::chrono::seconds time_limit{0};                // 0: none
  std::optional<cluster::WorkerStatus> status = {};  // nothing: as the environment says

  // The loss of one micro-batch, a mean; nothing: cross_entropy(model(inputs), labels).
  std::function<Tensor(const data::Batch&)> loss = {};
  // Measures the test set at each epoch's end. Called on all ranks, may communicate, and must return the same on all.
  std::function<TestResult()> evaluate = {};
  bool evaluate_at_end = false;  // also behind the last step: for FitResult and the metrics' last line
  // Watches the first number of the test set where there is one, else the epoch's mean loss.
  std::optional<EarlyStoppingOptions> early_stopping = {};

  // Called on every rank; Trainer::stop() may be called from them.
  std::function<void(const StepEnd&)> on_step_end = {};
  std::function<void(const EpochEnd&)> on_epoch_end = {};
  std::function<void(std::int64_t steps)> on_save = {};  // a checkpoint was begun after so many steps
};

struct FitResult {
  std::int64_t steps = 0;  // finished since the first start
  StopReason reason = StopReason::finished;
  bool saved = false;           // the state after the last step is in a checkpoint
  double loss = 0;              // of the last step; NaN without one
  double items_per_second = 0;  // median after warm-up; on rank 0
  std::string params_hash = {};
  std::optional<TestResult> test = {};  // with evaluate_at_end, unless the run was interrupted
};

}  // namespace trireme::training
