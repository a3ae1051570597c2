// Index: which saved rows of which file make up each tensor of a checkpoint.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/checkpoint/safetensors_file.h"

namespace trireme::checkpoint {

struct SavedSlice {
  std::size_t file = 0;                // position in the list given to Index
  const TensorEntry* entry = nullptr;  // of that file's header
  std::int64_t row_begin = 0;          // within the whole tensor
  std::int64_t rows = 0;
};

struct SavedTensor {
  std::string name;
  std::string dtype_name;
  std::vector<std::int64_t> shape;  // of the whole tensor
  std::vector<SavedSlice> slices;   // by row, without gap or overlap
};

class Index {
 public:
  // Raises Error naming the tensor if slices leave a gap, overlap, or disagree about dtype or shape. The files' headers
  // must outlive the index.
  explicit Index(const std::vector<std::unique_ptr<SafetensorsFile>>& files);

  const std::vector<SavedTensor>& tensors() const { return tensors_; }  // by name
  // Null if there is no such tensor.
  const SavedTensor* find(std::string_view name) const;

 private:
  std::vector<SavedTensor> tensors_;
};

}  // namespace trireme::checkpoint
