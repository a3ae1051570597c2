#include "trireme/checkpoint/index.h"

#include <algorithm>
#include <map>

#include "trireme/checkpoint/sharding_info.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

using Slices = std::map<std::string, std::vector<SavedSlice>>;

Slices collect(const std::vector<std::unique_ptr<SafetensorsFile>>& files) {
  Slices slices;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const std::map<std::string, std::int64_t> begins = parse_sharding_info(files[i]->header(), files[i]->path());
    for (const TensorEntry& entry : files[i]->header().tensors) {
      slices[entry.name].push_back({i, &entry, begins.at(entry.name), entry.rows()});
    }
  }
  return slices;
}

SavedTensor assemble(const std::string& name, std::vector<SavedSlice> slices,
                     const std::vector<std::unique_ptr<SafetensorsFile>>& files) {
  std::sort(slices.begin(), slices.end(), [](const SavedSlice& a, const SavedSlice& b) {
    return std::pair(a.row_begin, a.rows) < std::pair(b.row_begin, b.rows);
  });
  const TensorEntry& first = *slices.front().entry;
  SavedTensor tensor{name, first.dtype_name, first.shape, {}};
  std::int64_t next = 0;
  for (const SavedSlice& slice : slices) {
    const TensorEntry& entry = *slice.entry;
    const std::string& path = files[slice.file]->path();
    require(entry.dtype_name == first.dtype_name && entry.shape.size() == first.shape.size() &&
                std::equal(entry.shape.begin() + (entry.shape.empty() ? 0 : 1), entry.shape.end(),
                           first.shape.begin() + (first.shape.empty() ? 0 : 1)),
            "{}: '{}' has another dtype or shape than in {}; the files are of different checkpoints", path, name,
            files[slices.front().file]->path());
    require(slice.row_begin == next,
            "{}: '{}' has rows from {} on here, but {} rows before; the checkpoint is incomplete", path, name,
            slice.row_begin, next);
    next += slice.rows;
  }
  if (!tensor.shape.empty()) {
    tensor.shape[0] = next;
  }
  tensor.slices = std::move(slices);
  return tensor;
}

}  // namespace

Index::Index(const std::vector<std::unique_ptr<SafetensorsFile>>& files) {
  for (auto& [name, slices] : collect(files)) {
    tensors_.push_back(assemble(name, std::move(slices), files));
  }
}

const SavedTensor* Index::find(std::string_view name) const {
  const auto found =
      std::lower_bound(tensors_.begin(), tensors_.end(), name,
                       [](const SavedTensor& tensor, std::string_view key) { return tensor.name < key; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace trireme::checkpoint
