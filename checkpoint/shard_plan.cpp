#include "trireme/checkpoint/shard_plan.h"

#include <algorithm>

#include "trireme/checkpoint/placement.h"
#include "trireme/checkpoint/sharding_info.h"

namespace trireme::checkpoint {
namespace {

// The data of a shard begin on a page, which mapping and direct I/O want.
constexpr std::uint64_t kShardAlignment = 4096;

Shape with_rows(Shape shape, std::int64_t rows) {
  if (shape.dims() > 0) {
    shape[0] = rows;
  }
  return shape;
}

}  // namespace

ShardPlan plan_shard(std::span<const sharding::StateTensor> tensors, std::int64_t step, int rank, int world_size) {
  ShardPlan plan;
  std::vector<TensorToWrite> entries;
  std::vector<SavedOffset> offsets;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const sharding::StateTensor& tensor = tensors[i];
    require_part(tensor);
    if (!saves_entry(tensor, rank, world_size)) {
      continue;
    }
    const RowRange range = rows_to_save(tensor, rank, world_size);
    plan.parts.push_back({i, range.begin, range.rows, 0});
    entries.push_back({tensor.name, tensor.rows.dtype(), with_rows(tensor.global_shape, range.rows)});
    offsets.push_back({tensor.name, range.begin, tensor.global_shape.dims()});
  }
  Metadata metadata = sharding_metadata(offsets);
  metadata["trireme_step"] = std::to_string(step);
  metadata["trireme_rank"] = std::to_string(rank);
  metadata["trireme_world_size"] = std::to_string(world_size);
  plan.file = plan_safetensors(entries, metadata, kShardAlignment);
  for (std::size_t i = 0; i < plan.parts.size(); ++i) {
    plan.parts[i].begin = plan.file.begins[i];
  }
  std::sort(plan.parts.begin(), plan.parts.end(), [](const ShardPart& a, const ShardPart& b) {
    return std::pair(a.begin, a.rows) < std::pair(b.begin, b.rows);  // one without rows before its neighbour
  });
  return plan;
}

}  // namespace trireme::checkpoint
