// Tensors in slices along any dims, in the layout of PyTorch's distributed checkpoints.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "trireme/checkpoint/safetensors.h"
#include "trireme/core/array/array.h"
#include "trireme/core/base/filesystem.h"

namespace trireme::checkpoint::test_slices {

struct Box {
  Shape begin;
  Shape sizes;
};

// Writes each box of `values` into a file of its own, `directory`/part-0.safetensors and so on; others there go.
inline void write_slices(FileSystem& files, const std::string& directory, const std::string& name, const Array& values,
                         const std::vector<Box>& boxes) {
  make_directories(files, directory);
  for (const std::string& old : files.list(directory)) {
    files.remove_file(join_path(directory, old));
  }
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    Array part = values;
    for (int dim = 0; dim < values.dims(); ++dim) {
      part = part.narrow(dim, boxes[i].begin[dim], boxes[i].sizes[dim]);
    }
    part = part.contiguous();
    const std::vector<std::int64_t> begin(boxes[i].begin.begin(), boxes[i].begin.end());
    const Metadata metadata = {
        {"DCP_SHARDING_INFO", fmt::format(R"({{"{}":{{"saved_offsets":[{}]}}}})", name, fmt::join(begin, ","))},
        {"DCP_VERSION", "1.0"}};
    const PlannedFile plan =
        plan_safetensors(std::vector<TensorToWrite>{{name, part.dtype(), part.shape()}}, metadata, 8);
    std::string bytes = plan.header;
    bytes.append(reinterpret_cast<const char*>(part.bytes_data()), part.bytes());
    write_file(files, join_path(directory, fmt::format("part-{}.safetensors", i)), std::as_bytes(std::span(bytes)));
  }
}

}  // namespace trireme::checkpoint::test_slices
