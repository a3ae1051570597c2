#include "trireme/checkpoint/index.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <tuple>

#include "trireme/checkpoint/safetensors_json.h"
#include "trireme/checkpoint/sharding_info.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

using Files = std::vector<std::unique_ptr<SafetensorsFile>>;
using Slices = std::map<std::string, std::vector<SavedSlice>>;

Slices collect(const Files& files) {
  Slices slices;
  for (std::size_t i = 0; i < files.size(); ++i) {
    std::map<std::string, std::vector<std::int64_t>> begins = parse_sharding_info(files[i]->header(), files[i]->path());
    for (const TensorEntry& entry : files[i]->header().tensors) {
      slices[entry.name].push_back({i, &entry, std::move(begins.at(entry.name))});
    }
  }
  return slices;
}

std::uint64_t count_of(const std::vector<std::int64_t>& shape, const std::string& name, const std::string& path) {
  std::uint64_t count = 1;
  for (const std::int64_t size : shape) {
    require(!__builtin_mul_overflow(count, static_cast<std::uint64_t>(size), &count),
            "{}: '{}' has an impossible shape [{}]; the file is damaged", path, name, fmt::join(shape, ", "));
  }
  return count;
}

// True if no slice is cut along another dim than the first.
bool cut_by_rows(const SavedTensor& tensor) {
  return std::all_of(tensor.slices.begin(), tensor.slices.end(), [&](const SavedSlice& slice) {
    for (std::size_t dim = 1; dim < tensor.shape.size(); ++dim) {
      if (slice.entry->shape[dim] != tensor.shape[dim]) {
        return false;
      }
    }
    return true;
  });
}

void require_rows(const SavedTensor& tensor, const Files& files) {
  std::int64_t next = 0;
  for (const SavedSlice& slice : tensor.slices) {
    const std::int64_t begin = slice.begin.empty() ? 0 : slice.begin[0];
    require(begin == next, "{}: '{}' has rows from {} on here, but {} rows before; the checkpoint is incomplete",
            files[slice.file]->path(), tensor.name, begin, next);
    next += slice.entry->rows();
  }
}

bool overlap(const SavedSlice& a, const SavedSlice& b) {
  for (std::size_t dim = 0; dim < a.begin.size(); ++dim) {
    if (a.begin[dim] >= b.begin[dim] + b.entry->shape[dim] || b.begin[dim] >= a.begin[dim] + a.entry->shape[dim]) {
      return false;
    }
  }
  return true;
}

// Boxes that do not overlap and have as many elements as the whole make up the whole.
void require_boxes(const SavedTensor& tensor, const Files& files) {
  std::uint64_t there = 0;
  for (std::size_t i = 0; i < tensor.slices.size(); ++i) {
    const SavedSlice& slice = tensor.slices[i];
    there += slice.entry->bytes() / tensor.element_bytes;
    const std::int64_t end = slice.begin[0] + slice.entry->shape[0];
    for (std::size_t j = i + 1; j < tensor.slices.size() && tensor.slices[j].begin[0] < end; ++j) {
      require(!overlap(slice, tensor.slices[j]),
              "{}: '{}' has elements here that are in {} too; the files do not "
              "belong together",
              files[tensor.slices[j].file]->path(), tensor.name, files[slice.file]->path());
    }
  }
  require(there == tensor.elements, "{}: '{}' has {} of {} elements; the checkpoint is incomplete",
          files[tensor.slices.front().file]->path(), tensor.name, there, tensor.elements);
}

SavedTensor assemble(const std::string& name, std::vector<SavedSlice> slices, const Files& files) {
  std::sort(slices.begin(), slices.end(), [](const SavedSlice& a, const SavedSlice& b) {
    return std::tie(a.begin, a.entry->shape) < std::tie(b.begin, b.entry->shape);
  });
  const TensorEntry& first = *slices.front().entry;
  SavedTensor tensor{name, first.dtype_name, first.dtype, first.shape, 0, 0, {}};
  for (const SavedSlice& slice : slices) {
    const std::string& path = files[slice.file]->path();
    require(slice.entry->dtype_name == first.dtype_name && slice.entry->shape.size() == first.shape.size(),
            "{}: '{}' has another dtype or shape than in {}; the files are of different checkpoints", path, name,
            files[slices.front().file]->path());
    for (std::size_t dim = 0; dim < first.shape.size(); ++dim) {
      tensor.shape[dim] = std::max(tensor.shape[dim], slice.begin[dim] + slice.entry->shape[dim]);
    }
  }
  tensor.elements = count_of(tensor.shape, name, files[slices.front().file]->path());
  tensor.element_bytes = *element_bytes_of(tensor.dtype_name);
  tensor.slices = std::move(slices);
  if (cut_by_rows(tensor)) {
    require_rows(tensor, files);
  } else {
    require_boxes(tensor, files);
  }
  return tensor;
}

}  // namespace

Index::Index(const Files& files) {
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
