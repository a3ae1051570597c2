// Writer: saves the state of all ranks as one checkpoint that is there wholly or not at all, while training goes on.
//
// Every rank has one and calls save() at the same steps, with no communication: placement is a pure function
// (placement.h), and rank 0, the committer, sees from the files when all parts are stored. The directory must therefore
// be shared by all ranks. What is written when, and what is written last: docs/checkpoint_format.md.
//
// save() begins a copy of the rank's part in memory that the writer keeps (one part's size, reused), and returns; one
// background thread copies, another, close behind, writes. If the one before is still being written, save() waits for
// it: memory stays fixed, and the wait is counted. A failure in the background is raised by the next poll(), save() or
// wait(), once, with the step that failed and the one that is safe on the disk; after it the writer can be used further
// (a later save may succeed), or dropped.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "trireme/core/base/clock.h"
#include "trireme/core/base/filesystem.h"
#include "trireme/sharding/state.h"

namespace trireme::checkpoint {

struct WriterOptions {
  std::string directory;  // made if absent
  int rank = 0;
  int world_size = 1;
  std::uint64_t run_id = 0;  // the same on all ranks of this start, different for every start (a random number of rank
                             // 0, broadcast once): it keeps leftovers of a dead run apart. A lone rank may leave 0.
  int keep = 2;              // how many checkpoints stay
  bool background = true;    // false: save() does all the work and raises its own errors
  bool recycle = true;       // overwrite the files of deleted checkpoints: faster, one checkpoint more on the disk
  std::chrono::milliseconds commit_timeout{60'000};  // of rank 0 for the other ranks' parts
  std::chrono::milliseconds lock_timeout{1'000};     // for a dying predecessor to let go of the directory
};

struct SaveStatistics {
  std::int64_t saves = 0;                    // handed to the writer
  std::int64_t waits = 0;                    // of those, how many found the one before unfinished
  std::uint64_t bytes = 0;                   // of this rank's last file
  std::uint64_t memory_bytes = 0;            // what the writer keeps: the snapshot
  std::chrono::nanoseconds stall_total{0};   // the caller's time in save(), wait_copied() and wait()
  std::chrono::nanoseconds waited_total{0};  // of that, for the ones before
  std::chrono::nanoseconds written{0};       // from snapshot to durable, last
};

class Writer {
 public:
  // Rank 0 locks the directory (raises Error naming the owner if another job has it), and clears what dead runs left.
  // `files` and `clock` must outlive the writer.
  Writer(FileSystem& files, Clock& clock, WriterOptions options);
  // Finishes what is being written; a failure is only logged then, so call wait() before.
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // Names checkpoints that the run found damaged: they do not count among those that stay (retention.h). REQUIRES:
  // before the first save.
  void set_damaged(std::vector<std::string> paths);
  // Saves `tensors` as the checkpoint of position.step. The tensors may change as soon as it returns, those that are
  // steady (sharding/state.h) only after wait_copied(). A step that this writer has saved already is not saved again.
  // The tensors that are saved must be the same on all ranks, by name.
  void save(const sharding::TrainingPosition& position, std::span<const sharding::StateTensor> tensors);
  // Waits until the tensors of the last save() have been copied; at once if they have. For the start of an update.
  void wait_copied();
  // Raises the failure of the background, if there is a new one. Never waits; cheap enough for every step.
  void poll();
  // Waits until nothing is being written, then as poll().
  void wait();

  // The newest step known to be safe, -1 if none: on rank 0, committed; elsewhere, this rank's part is stored.
  std::int64_t last_safe_step() const;
  SaveStatistics statistics() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace trireme::checkpoint
