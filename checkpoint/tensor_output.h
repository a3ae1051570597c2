// Copies tensors from what is saved into new files, in blocks: memory stays the same whatever their size.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "trireme/checkpoint/saved_tensors.h"
#include "trireme/checkpoint/tensor_copy.h"
#include "trireme/core/base/filesystem.h"
#include "trireme/sharding/state.h"

namespace trireme::checkpoint {

// Told how many bytes were written since it was told before; for progress bars.
using Advance = std::function<void(std::uint64_t)>;

// Writes one safetensors file `path` ("X.safetensors") if its tensors have at most `file_bytes_max` bytes; else, as
// Hugging Face does, X-00001-of-0000N.safetensors ... with an index X.safetensors.index.json, written last. Each file
// appears whole or not at all. Returns the paths, the index (if any) first. Raises Error, also for two tensors of one
// name and where an earlier copy in the other form is in the way.
std::vector<std::string> write_model_files(FileSystem& files, SavedTensors& from, std::span<const TensorCopy> copies,
                                           const std::string& path, std::uint64_t file_bytes_max,
                                           const Advance& advance);

// Writes a checkpoint of `world_size` shards into `directory` (which no job may be using), cut as mirrored tensors are.
// It is there wholly or not at all. Returns its path. Raises Error, also if there is one of that step.
std::string write_checkpoint(FileSystem& files, SavedTensors& from, std::span<const TensorCopy> copies,
                             const std::string& directory, const sharding::TrainingPosition& position, int world_size,
                             const Advance& advance);

}  // namespace trireme::checkpoint
