#include "trireme/checkpoint/saved_tensors.h"

#include <algorithm>

#include "trireme/checkpoint/placement.h"
#include "trireme/checkpoint/slice_runs.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

// What a conversion reads at a time.
constexpr std::uint64_t kConvertBytes = std::uint64_t{4} << 20;

}  // namespace

SavedTensors::SavedTensors(FileSystem& files, const std::string& directory, const Manifest& manifest, Verify verify) {
  for (const FileRecord& record : manifest.files) {
    const std::string path = join_path(directory, record.name);
    checksums_.push_back(std::make_unique<VerifiedFile>(files, path, record));
    if (verify == Verify::everything) {
      checksums_.back()->verify_all();
    }
    shards_.push_back(std::make_unique<SafetensorsFile>(files, path));
    checksums_.back()->verify(0, shards_.back()->header().data_begin);
  }
  index_ = std::make_unique<Index>(shards_);
}

SavedTensors::SavedTensors(FileSystem& files, std::span<const std::string> paths) {
  for (const std::string& path : paths) {
    shards_.push_back(std::make_unique<SafetensorsFile>(files, path));
  }
  index_ = std::make_unique<Index>(shards_);
}

void SavedTensors::locate(const SavedTensor& tensor, std::uint64_t begin, std::span<std::byte> out,
                          WantedByFile& wanted) const {
  const std::uint64_t element = tensor.element_bytes;
  const std::uint64_t end = begin + out.size() / element;
  require(begin <= end && end <= tensor.elements && out.size() % element == 0,
          "read '{}': {} bytes from element {} on wanted, it has {} elements of {} bytes", tensor.name, out.size(),
          begin, tensor.elements, element);
  for (const SavedSlice& slice : tensor.slices) {
    const std::uint64_t data = shards_[slice.file]->header().data_begin + slice.entry->begin;
    for_each_run(slice, tensor.shape, begin, end, [&](const SliceRun& run) {
      wanted[slice.file].push_back(
          {data + run.in_slice * element, out.subspan((run.in_tensor - begin) * element, run.elements * element)});
    });
  }
}

void SavedTensors::read_wanted(const WantedByFile& wanted) {
  for (std::size_t file = 0; file < wanted.size(); ++file) {
    if (!checksums_.empty()) {
      checksums_[file]->read(wanted[file]);
      continue;
    }
    for (const WantedBytes& bytes : wanted[file]) {
      shards_[file]->read(bytes.begin, bytes.to);
    }
  }
}

void SavedTensors::read(const SavedTensor& tensor, std::uint64_t begin, std::span<std::byte> out) {
  WantedByFile wanted(shards_.size());
  locate(tensor, begin, out, wanted);
  read_wanted(wanted);
}

void SavedTensors::read_as(const SavedTensor& tensor, std::uint64_t begin, const Array& out) {
  require(tensor.dtype.has_value(), "read '{}': its dtype {} cannot be converted", tensor.name, tensor.dtype_name);
  if (*tensor.dtype == out.dtype()) {
    read(tensor, begin, {out.bytes_data(), out.bytes()});
    return;
  }
  const Array flat = out.flatten();
  const auto block = static_cast<std::int64_t>(kConvertBytes / tensor.element_bytes);
  const Array scratch = Array::empty({std::min(block, flat.count())}, *tensor.dtype);
  for (std::int64_t at = 0; at < flat.count(); at += block) {
    const std::int64_t count = std::min(block, flat.count() - at);
    const Array part = scratch.narrow(0, 0, count);
    read(tensor, begin + static_cast<std::uint64_t>(at), {part.bytes_data(), part.bytes()});
    flat.narrow(0, at, count).copy_from(part);
  }
}

void SavedTensors::load(std::span<const SavedTensor* const> tensors, std::span<const sharding::StateTensor> wanted) {
  WantedByFile bytes(shards_.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const Array& rows = wanted[i].rows;
    if (rows.count() == 0) {
      continue;
    }
    const std::int64_t row_elements = rows.count() / row_count(rows.shape());
    const auto begin = static_cast<std::uint64_t>(wanted[i].row_begin * row_elements);
    if (rows.is_contiguous() && tensors[i]->dtype == rows.dtype()) {
      locate(*tensors[i], begin, {rows.bytes_data(), rows.bytes()}, bytes);
      continue;
    }
    const Array target = rows.is_contiguous() ? rows : Array::empty(rows.shape(), rows.dtype());
    read_as(*tensors[i], begin, target);
    if (!rows.is_contiguous()) {
      rows.copy_from(target);
    }
  }
  read_wanted(bytes);
}

}  // namespace trireme::checkpoint
