// Which checkpoints stay, and how the others go: decided by a pure function, deleted so that a crash in between never
// leaves one that looks whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "trireme/core/base/filesystem.h"

namespace trireme::checkpoint {

struct Kept {
  std::string name;
  std::uint64_t sequence = 0;
  bool whole = true;  // false: found damaged
};
// The names to delete, oldest first, so that the `keep` (>= 1) newest that are whole stay. A damaged one counts for
// nothing, and goes when it is older than those.
std::vector<std::string> plan_retention(std::vector<Kept> checkpoints, int keep);

// Deletes a step's directory in the reverse order of its making: the manifest first and durably, then the files, then
// the directory. Shards go to `recycled` for the next save to overwrite (empty: they are removed). Files that no writer
// makes are left, and the directory with them, with a warning.
void delete_checkpoint(FileSystem& files, const std::string& path, const std::string& recycled);

// After a crash: removes unfinished saves of other runs than `run_id` (nothing: of all), finishes interrupted deletions
// and replacements. Only the holder of the directory's lock may do this.
void clean_directory(FileSystem& files, const std::string& directory, std::optional<std::uint64_t> run_id);

}  // namespace trireme::checkpoint
