#include "trireme/checkpoint/tensor_stream.h"

#include <algorithm>
#include <numeric>

#include "trireme/core/array/array.h"

namespace trireme::checkpoint {
namespace {

// What is read, converted and written at a time: as much as one checksum covers.
constexpr std::uint64_t kStreamBytes = kBlockBytes;

}  // namespace

std::vector<std::uint64_t> stream_tensors(File& file, const PlannedFile& plan, const std::vector<StreamedPart>& parts,
                                          SavedTensors& from, const Advance& advance) {
  file.resize(plan.file_bytes);
  file.reserve(plan.file_bytes);
  BlockHasher hasher;
  const auto put = [&](std::uint64_t at, std::span<const std::byte> bytes) {
    file.write(at, bytes);
    hasher.update(bytes);
    advance(bytes.size());
  };
  put(0, std::as_bytes(std::span(plan.header)));
  std::vector<std::size_t> order(parts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(plan.begins[a], parts[a].elements) < std::pair(plan.begins[b], parts[b].elements);
  });
  for (const std::size_t i : order) {
    const StreamedPart& part = parts[i];
    const std::uint64_t element = size_of(part.copy->dtype);
    for (std::uint64_t at = 0; at < part.elements; at += kStreamBytes / element) {
      const std::uint64_t count = std::min(part.elements - at, kStreamBytes / element);
      const Array block = Array::empty({static_cast<std::int64_t>(count)}, part.copy->dtype);
      from.read_as(*part.copy->from, part.first + at, block);
      put(plan.begins[i] + at * element, {block.bytes_data(), block.bytes()});
    }
  }
  return hasher.finish();
}

}  // namespace trireme::checkpoint
