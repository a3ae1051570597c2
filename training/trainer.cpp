#include "trireme/training/trainer.h"

#include "trireme/core/base/log.h"
#include "trireme/core/nn/units.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/training/model_files.h"
#include "trireme/training/training_run.h"

namespace trireme::training {

Trainer::Trainer(nn::Module& model, optim::Optimizer& optimizer, strategies::Strategy& strategy, TrainerOptions options)
    : model_(model), optimizer_(optimizer), strategy_(strategy), options_(std::move(options)) {
  if (!options_.loss) {
    options_.loss = [this](const data::Batch& batch) { return ops::cross_entropy(model_(batch.inputs), batch.labels); };
  }
  if (options_.activation_checkpointing && nn::checkpoint_activations(model_) == 0 &&
      strategy_.communicator().rank() == 0) {
    log::warning(
        "--activation-checkpointing has no effect: this model is not built of blocks that could run again in backward");
  }
  strategy_.prepare(model_, optimizer_);
  if (!options_.init_file.empty()) {
    init_model(options_.init_file, strategy_);
  }
}

FitResult Trainer::fit(data::Loader& loader) {
  stop_requested_ = false;
  return TrainingRun(*this, loader).run();
}

}  // namespace trireme::training
