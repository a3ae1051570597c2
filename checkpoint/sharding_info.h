// Where a file's slices lie in their whole tensors: the metadata entry DCP_SHARDING_INFO of PyTorch's distributed
// checkpoints in safetensors files (torch/distributed/checkpoint/_hf_utils.py), so that its reader opens ours.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "trireme/checkpoint/safetensors.h"

namespace trireme::checkpoint {

struct SavedOffset {
  std::string name;
  std::int64_t row_begin = 0;
  int dims = 0;
};

// The metadata entries "DCP_SHARDING_INFO", "DCP_VERSION" and "format" of a file with these slices.
Metadata sharding_metadata(std::span<const SavedOffset> offsets);

// First row of each tensor of the file within its whole tensor. A file without the entry holds whole tensors (row 0).
// Raises Error naming `path` for anything malformed, and for slices of another dim than rows.
std::map<std::string, std::int64_t> parse_sharding_info(const SafetensorsHeader& header, const std::string& path);

}  // namespace trireme::checkpoint
