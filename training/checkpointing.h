// How a run uses checkpoints: which one it goes on from, when one is begun, and what a failed save means.
// What they are made of is checkpoint/; this is only the run's side.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trireme/checkpoint/reader.h"
#include "trireme/checkpoint/writer.h"
#include "trireme/core/base/clock.h"
#include "trireme/core/optim/optimizer.h"
#include "trireme/strategies/strategy.h"
#include "trireme/training/rehearsed_disk.h"
#include "trireme/training/trainer_options.h"

namespace trireme::training {

class Checkpointing {
 public:
  // Everything given must outlive it. A program that the launcher has restarted goes on from its newest checkpoint,
  // whatever options.resume says.
  Checkpointing(const CheckpointOptions& options, strategies::Strategy& strategy, optim::Optimizer& optimizer);

  ~Checkpointing();
  Checkpointing(const Checkpointing&) = delete;
  Checkpointing& operator=(const Checkpointing&) = delete;

  bool enabled() const { return !options_.directory.empty(); }

  // Collective. Loads parameters, buffers and optimizer state of the wanted checkpoint, checks that the run is the same
  // one (`wanted`: how this run cuts its batches and orders its data), and returns where it stood; nothing: a fresh
  // start. Raises a usage Error that names what differs. Before that it opens the directory for saving: one that cannot
  // be written is noticed before the first step, and a run that is just ending has saved its last by then.
  std::optional<sharding::TrainingPosition> resume(const sharding::TrainingPosition& wanted);

  // Begins a checkpoint; training may go on at once: the next update of the optimizer waits until the values are
  // copied. A failure of the one before shows here or in check().
  void save(const sharding::TrainingPosition& position);
  // Raises, or with stop_on_error false logs, a failure of a save in progress. Cheap enough for every step.
  void check();
  // Waits until nothing is being written. False if the last save failed and that is not an error.
  bool finish();

  // The rehearsal of a full disk (`trireme run --inject disk_full:...`): from now on nothing can be written.
  void fill_disk();

  // Of this rank; zeros where nothing is saved.
  checkpoint::SaveStatistics statistics() const;
  // The newest step whose checkpoint is known to be complete on the disk (rank 0); -1: none of this run yet.
  std::int64_t last_safe_step() const;

 private:
  // The path of the checkpoint to go on from, the same on all ranks; empty: none.
  std::string choose(std::span<const checkpoint::Damage> known);
  std::string choose_on_first_rank(std::span<const checkpoint::Damage> known);
  // Collective. Nothing if any rank found the checkpoint damaged: then it is one more of the known ones.
  std::optional<sharding::TrainingPosition> load(const std::string& path, const sharding::TrainingPosition& wanted,
                                                 std::vector<checkpoint::Damage>& known);
  void open_writer();
  template <class Call>
  bool guarded(Call&& call);

  CheckpointOptions options_;
  strategies::Strategy& strategy_;
  optim::Optimizer& optimizer_;
  RehearsedDisk files_;
  SteadyClock clock_;
  std::unique_ptr<checkpoint::Writer> writer_;
};

// Raises a usage Error naming the first difference that would change the run's results, and what to do about it.
void require_same_run(const sharding::TrainingPosition& saved, const sharding::TrainingPosition& wanted,
                      const std::string& path);

}  // namespace trireme::training
