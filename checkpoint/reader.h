// Reader: finds the newest checkpoint that is whole, and fills any wanted slices from whatever slices were saved.
//
// Nothing is used before it is checked: manifest, sizes and headers when a checkpoint is opened; the checksum of every
// block either then (Verify::everything) or just before its first bytes are loaded (Verify::when_loaded).
//
// How a run of several ranks resumes (training/checkpointing.h): rank 0 calls open_newest(..., Verify::when_loaded) and
// tells the others path() (one broadcast); all open that path and load their own slices, each byte read and checked
// once; if one finds damage, all begin again with the checkpoint before. What --resume means: none, do not call; auto,
// open_newest, nothing there is a fresh start; PATH, open_path.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trireme/checkpoint/manifest.h"
#include "trireme/checkpoint/saved_tensors.h"
#include "trireme/core/base/filesystem.h"
#include "trireme/sharding/state.h"

namespace trireme::checkpoint {

// One directory of a checkpoint directory that looks like a checkpoint.
struct Candidate {
  std::string path;
  Manifest manifest;
};
struct Survey {
  std::vector<Candidate> readable;    // newest first; their files are not checked yet
  std::vector<std::string> unusable;  // why each of the others is none, as sentences
  std::vector<std::string> unread;    // those among them that the disk did not give (they may be good)
};
// Looks at every step's directory in `directory`. Foreign names and unfinished saves are passed over in silence.
Survey survey(FileSystem& files, const std::string& directory);

// A checkpoint that was found damaged, and why.
struct Damage {
  std::string path;
  std::string reason;
};

// REQUIRES: the FileSystem outlives it. One thread at a time.
class Reader {
 public:
  // Opens one checkpoint. Raises Error with the first thing that is wrong with it.
  static Reader open(FileSystem& files, const std::string& path, Verify verify = Verify::everything);
  // The newest one in `directory` that is whole; each newer one that was skipped is logged as a warning with the
  // reason. Those that are `known` to be damaged are skipped unseen. Nothing if the directory is absent or holds no
  // checkpoint. Raises Error if there are some but none is usable, and if the disk does not tell which is the newest.
  static std::optional<Reader> open_newest(FileSystem& files, const std::string& directory,
                                           Verify verify = Verify::everything, std::span<const Damage> known = {});
  // A checkpoint, or a directory of checkpoints. Raises Error if there is neither, or none that is not damaged.
  static Reader open_path(FileSystem& files, const std::string& path, Verify verify = Verify::everything,
                          std::span<const Damage> known = {});

  const std::string& path() const { return path_; }
  // The checkpoints that open_newest() found damaged and passed over, by path.
  const std::vector<std::string>& damaged() const { return damaged_; }
  const Manifest& manifest() const { return manifest_; }
  const sharding::TrainingPosition& position() const { return manifest_.position; }
  const std::vector<SavedTensor>& tensors() const { return saved_.tensors(); }
  // What was saved, for whoever reads it in other ways than load().
  SavedTensors& saved() { return saved_; }
  bool has(std::string_view name) const { return saved_.find(name) != nullptr; }

  // Raises Error naming the tensor that is missing, or was saved with another shape or dtype.
  void require_fits(std::span<const sharding::StateTensor> wanted) const;
  // Writes the saved values into `wanted[i].rows`, in place. What is saved and not wanted is left aside. Raises Error
  // as require_fits(), before anything is written. A checksum that fails only now (Verify::when_loaded) leaves some of
  // `wanted` overwritten.
  void load(std::span<const sharding::StateTensor> wanted);

 private:
  Reader(FileSystem& files, const std::string& path, Manifest manifest, Verify verify);

  std::string path_;
  std::vector<std::string> damaged_;
  Manifest manifest_;
  SavedTensors saved_;
};

}  // namespace trireme::checkpoint
