#include "trireme/checkpoint/snapshot.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "trireme/checkpoint/block_hasher.h"
#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/placement.h"
#include "trireme/checkpoint/safetensors.h"
#include "trireme/checkpoint/sharding_info.h"

namespace trireme::checkpoint {
namespace {

// Copied, then hashed while it is still in the cache.
constexpr std::size_t kPieceBytes = std::size_t{128} << 10;
// The data of a shard begin on a page, which mapping and direct I/O want.
constexpr std::uint64_t kShardAlignment = 4096;

struct Part {
  const sharding::StateTensor* tensor = nullptr;
  RowRange rows;
};

Shape part_shape(const Part& part) {
  Shape shape = part.tensor->global_shape;
  if (shape.dims() > 0) {
    shape[0] = part.rows.rows;
  }
  return shape;
}

// The part as one dense block: a view of the tensor, or a copy if the tensor is strided.
Array part_values(const Part& part) {
  const Array& rows = part.tensor->rows;
  if (rows.dims() == 0) {
    return rows;
  }
  return rows.narrow(0, part.rows.begin - part.tensor->row_begin, part.rows.rows).contiguous();
}

void copy_and_hash(std::span<const std::byte> from, std::byte* to, BlockHasher& hasher) {
  for (std::size_t at = 0; at < from.size(); at += kPieceBytes) {
    const std::size_t bytes = std::min(kPieceBytes, from.size() - at);
    std::memcpy(to + at, from.data() + at, bytes);
    hasher.update({to + at, bytes});
  }
}

std::vector<Part> parts_of_rank(std::span<const sharding::StateTensor> tensors, int rank, int world_size) {
  std::vector<Part> parts;
  for (const sharding::StateTensor& tensor : tensors) {
    require_valid(tensor);
    if (saves_entry(tensor, rank, world_size)) {
      parts.push_back({&tensor, rows_to_save(tensor, rank, world_size)});
    }
  }
  return parts;
}

PlannedFile plan_file(const std::vector<Part>& parts, std::int64_t step, int rank, int world_size) {
  std::vector<TensorToWrite> entries;
  std::vector<SavedOffset> offsets;
  for (const Part& part : parts) {
    entries.push_back({part.tensor->name, part.tensor->rows.dtype(), part_shape(part)});
    offsets.push_back({part.tensor->name, part.rows.begin, part.tensor->global_shape.dims()});
  }
  Metadata metadata = sharding_metadata(offsets);
  metadata["trireme_step"] = std::to_string(step);
  metadata["trireme_rank"] = std::to_string(rank);
  metadata["trireme_world_size"] = std::to_string(world_size);
  return plan_safetensors(entries, metadata, kShardAlignment);
}

}  // namespace

void Snapshot::take(std::span<const sharding::StateTensor> tensors, std::int64_t step, int rank, int world_size) {
  const std::vector<Part> parts = parts_of_rank(tensors, rank, world_size);
  const PlannedFile plan = plan_file(parts, step, rank, world_size);
  if (image_.bytes() < plan.file_bytes) {
    image_ = Array();  // the old one goes before the new one comes
    image_ = Array::empty({static_cast<std::int64_t>(plan.file_bytes)}, DType::u8);
  }
  std::vector<std::size_t> order(parts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return plan.begins[a] < plan.begins[b]; });

  BlockHasher hasher;
  copy_and_hash(std::as_bytes(std::span(plan.header)), image_.bytes_data(), hasher);
  for (const std::size_t i : order) {
    const Array values = part_values(parts[i]);
    copy_and_hash({values.bytes_data(), values.bytes()}, image_.bytes_data() + plan.begins[i], hasher);
  }
  record_ = {shard_name(rank), plan.file_bytes, kBlockBytes, hasher.finish()};
}

}  // namespace trireme::checkpoint
