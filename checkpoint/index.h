// Index: which saved slices of which files make up each tensor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/checkpoint/safetensors_file.h"

namespace trireme::checkpoint {

// A box of a tensor: entry->shape elements from index `begin` on. Trireme cuts tensors along their first dim only;
// other programs along any.
struct SavedSlice {
  std::size_t file = 0;                // position in the list given to Index
  const TensorEntry* entry = nullptr;  // of that file's header
  std::vector<std::int64_t> begin;     // one index a dim
};

struct SavedTensor {
  std::string name;
  std::string dtype_name;
  std::optional<DType> dtype;       // nothing: a type that Arrays do not have
  std::vector<std::int64_t> shape;  // of the whole tensor
  std::uint64_t elements = 0;       // of the whole tensor
  std::uint64_t element_bytes = 0;  // of one
  std::vector<SavedSlice> slices;   // by their first index; each element is in exactly one

  std::uint64_t bytes() const { return elements * element_bytes; }
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
