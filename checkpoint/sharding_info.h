// Where a file's slices lie in their whole tensors: the metadata entry DCP_SHARDING_INFO of PyTorch's distributed
// checkpoints in safetensors files (torch/distributed/checkpoint/_hf_utils.py), so that its reader opens ours.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "trireme/checkpoint/safetensors.h"

namespace trireme::checkpoint {

struct SavedOffset {
  std::string name;
  std::int64_t row_begin = 0;
  int dims = 0;
};

// The metadata entries "DCP_SHARDING_INFO", "DCP_VERSION" and "format" of a file with these slices.
Metadata sharding_metadata(std::span<const SavedOffset> offsets);

// The first index of each of the file's slices within its whole tensor, one number a dim. A file without the entry
// holds whole tensors (zeros). Raises Error naming `path` for anything malformed.
std::map<std::string, std::vector<std::int64_t>> parse_sharding_info(const SafetensorsHeader& header,
                                                                     const std::string& path);

}  // namespace trireme::checkpoint
