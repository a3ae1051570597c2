// The commands of `trireme ckpt`. Each prints its result to stdout and returns the program's exit code; ckpt.cpp parses
// what they are given. Memory stays the same whatever the size of a checkpoint.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trireme/core/base/dtype.h"
#include "trireme/core/base/filesystem.h"
#include "trireme/training/progress_line.h"

namespace trireme::launcher {

// What all of them know.
struct CkptOutput {
  bool json = false;  // one JSON object for scripts instead of text for people
  training::ProgressMode progress = training::ProgressMode::automatic;
};

// ls: the checkpoints in `directory` (or itself, if it is one), newest first. Sizes and headers are checked, with
// `everything` every byte. Damage is told, and is no error.
int list_checkpoints(FileSystem& files, const std::string& directory, bool everything, const CkptOutput& output);
// verify: reads every byte; 1 if anything is damaged.
int verify_checkpoints(FileSystem& files, const std::string& directory, const CkptOutput& output);

struct PruneOptions {
  std::string directory;
  int keep = 1;
  bool dry_run = false;
};
// prune: deletes what is older than the newest `keep` that are whole, every byte of which it has read. Holds the
// directory's lock meanwhile, so that a running job is never disturbed.
int prune_checkpoints(FileSystem& files, const PruneOptions& options, const CkptOutput& output);

struct DiffOptions {
  std::string a;  // whatever checkpoint::Source opens
  std::string b;  // empty: `a` is a directory of checkpoints, and its two newest are compared
  double absolute = 0;
  double relative = 0;
  bool model_only = false;  // parameters and buffers, under the model's own names
};
// diff: as diff(1), 0 if all tensors are the same, 1 if some differ, 2 in trouble (a usage Error).
int diff_checkpoints(FileSystem& files, const DiffOptions& options, const CkptOutput& output);

struct CopyOptions {
  std::string from;  // whatever checkpoint::Source opens
  std::string to;
  bool merge = false;                // merge: one model file; else convert: what `to` looks like
  bool optimizer = false;            // into model files: the optimizer's state too
  bool model_only = false;           // into a checkpoint: without the optimizer's state
  std::uint64_t file_bytes_max = 0;  // larger models go into several files with an index
  std::optional<DType> dtype;
  std::string names = "keep";        // keep|transformer|bare
  std::vector<std::string> renames;  // "EXPRESSION=REPLACEMENT"
  std::vector<std::string> only;
  std::vector<std::string> skip;
  std::optional<int> ranks;  // of a checkpoint that is written: its shards
  std::optional<std::int64_t> step;
  std::string like;  // a checkpoint whose position (step, seed, lanes, options) is taken over
};
// merge and convert.
int copy_checkpoint(FileSystem& files, const CopyOptions& options, const CkptOutput& output);

}  // namespace trireme::launcher
