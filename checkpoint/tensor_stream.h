// One safetensors file written in its own order, its tensors read in blocks. Internal to checkpoint/.
#pragma once

#include <cstdint>
#include <vector>

#include "trireme/checkpoint/block_hasher.h"
#include "trireme/checkpoint/safetensors.h"
#include "trireme/checkpoint/tensor_output.h"

namespace trireme::checkpoint {

// Some neighbouring elements of a tensor.
struct StreamedPart {
  const TensorCopy* copy = nullptr;
  std::uint64_t first = 0;
  std::uint64_t elements = 0;
};

// Fills `file` with the planned header and parts[i] at plan.begins[i]. Returns the checksums of its blocks.
std::vector<std::uint64_t> stream_tensors(File& file, const PlannedFile& plan, const std::vector<StreamedPart>& parts,
                                          SavedTensors& from, const Advance& advance);

}  // namespace trireme::checkpoint
