// SavedTensors: whole tensors by name, read in any pieces from the safetensors files that hold their slices, whoever
// wrote them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "trireme/checkpoint/index.h"
#include "trireme/checkpoint/manifest.h"
#include "trireme/checkpoint/verified_file.h"
#include "trireme/core/array/array.h"
#include "trireme/core/base/filesystem.h"
#include "trireme/sharding/state.h"

namespace trireme::checkpoint {

enum class Verify { everything, when_loaded };

// The FileSystem must outlive it. One thread at a time (it uses the caller's threads, parallel_for).
class SavedTensors {
 public:
  // The files of a checkpoint in `directory`. Sizes and headers are checked here; the checksum of every block either
  // here too (Verify::everything) or just before its first bytes are used. Raises Error with the first thing wrong.
  SavedTensors(FileSystem& files, const std::string& directory, const Manifest& manifest, Verify verify);
  // Any safetensors files that together hold whole tensors. They carry no checksums: only headers are checked.
  SavedTensors(FileSystem& files, std::span<const std::string> paths);

  const std::vector<SavedTensor>& tensors() const { return index_->tensors(); }  // by name
  // Null if there is no such tensor.
  const SavedTensor* find(std::string_view name) const { return index_->find(name); }

  // Fills `out` with whole elements of `tensor` (of this object), the first being number `begin` in row-major order.
  // Raises Error where the tensor ends before, or a checksum does not match (`out` may then hold damaged bytes).
  void read(const SavedTensor& tensor, std::uint64_t begin, std::span<std::byte> out);
  // The same into a dense array, converted to its dtype block by block. REQUIRES: tensor.dtype.
  void read_as(const SavedTensor& tensor, std::uint64_t begin, const Array& out);
  // Fills the rows that each of `wanted` holds, of any strides, as read_as(): of all together, so that what lies
  // between two of them in a file is read once. REQUIRES: tensors[i] has wanted[i]'s global shape.
  void load(std::span<const SavedTensor* const> tensors, std::span<const sharding::StateTensor> wanted);

 private:
  // Where bytes are wanted from each file.
  using WantedByFile = std::vector<std::vector<WantedBytes>>;
  void locate(const SavedTensor& tensor, std::uint64_t begin, std::span<std::byte> out, WantedByFile& wanted) const;
  void read_wanted(const WantedByFile& wanted);

  std::vector<std::unique_ptr<SafetensorsFile>> shards_;
  std::vector<std::unique_ptr<VerifiedFile>> checksums_;  // of the same files; empty if there are none
  std::unique_ptr<Index> index_;
};

}  // namespace trireme::checkpoint
