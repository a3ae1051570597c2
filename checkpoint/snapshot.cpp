#include "trireme/checkpoint/snapshot.h"

#include <algorithm>
#include <cstring>

#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/placement.h"
#include "trireme/checkpoint/safetensors.h"
#include "trireme/checkpoint/sharding_info.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

// Copied, then hashed while it is still in the cache.
constexpr std::size_t kPieceBytes = std::size_t{128} << 10;
// How often the follower is told.
constexpr std::uint64_t kTellBytes = std::uint64_t{8} << 20;
// The data of a shard begin on a page, which mapping and direct I/O want.
constexpr std::uint64_t kShardAlignment = 4096;

Shape with_rows(Shape shape, std::int64_t rows) {
  if (shape.dims() > 0) {
    shape[0] = rows;
  }
  return shape;
}

// Rows as one dense block: a view of the tensor, or a copy if the tensor is strided.
Array dense_rows(const Array& tensor, std::int64_t row, std::int64_t rows) {
  return tensor.dims() == 0 ? tensor : tensor.narrow(0, row, rows).contiguous();
}

}  // namespace

void Snapshot::plan(std::span<const sharding::StateTensor> tensors, std::int64_t step, int rank, int world_size) {
  std::vector<Part> parts;
  std::vector<TensorToWrite> entries;
  std::vector<SavedOffset> offsets;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const sharding::StateTensor& tensor = tensors[i];
    require_valid(tensor);
    if (!saves_entry(tensor, rank, world_size)) {
      continue;
    }
    const RowRange range = rows_to_save(tensor, rank, world_size);
    parts.push_back({i, range.begin - tensor.row_begin, range.rows, 0});
    entries.push_back({tensor.name, tensor.rows.dtype(), with_rows(tensor.global_shape, range.rows)});
    offsets.push_back({tensor.name, range.begin, tensor.global_shape.dims()});
  }
  Metadata metadata = sharding_metadata(offsets);
  metadata["trireme_step"] = std::to_string(step);
  metadata["trireme_rank"] = std::to_string(rank);
  metadata["trireme_world_size"] = std::to_string(world_size);
  PlannedFile file = plan_safetensors(entries, metadata, kShardAlignment);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i].begin = file.begins[i];
  }
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.begin < b.begin; });
  parts_ = std::move(parts);
  header_ = std::move(file.header);
  record_ = {shard_name(rank), file.file_bytes, kBlockBytes, {}};
  set_ready(0, false);
  if (image_.bytes() < file.file_bytes) {
    image_ = Array();  // the old one goes before the new one comes
    image_ = Array::empty({static_cast<std::int64_t>(file.file_bytes)}, DType::u8);
  }
}

void Snapshot::copy(std::span<const sharding::StateTensor> tensors) {
  try {
    BlockHasher hasher;
    copy_and_hash(std::as_bytes(std::span(header_)), 0, hasher);
    for (const Part& part : parts_) {
      const Array values = dense_rows(tensors[part.tensor].rows, part.row, part.rows);
      copy_and_hash({values.bytes_data(), values.bytes()}, part.begin, hasher);
    }
    record_.block_hashes = hasher.finish();
    set_ready(record_.bytes, false);
  } catch (...) {
    set_ready(0, true);
    throw;
  }
}

void Snapshot::copy_and_hash(std::span<const std::byte> from, std::uint64_t begin, BlockHasher& hasher) {
  std::byte* to = image_.bytes_data() + begin;
  for (std::size_t at = 0; at < from.size(); at += kPieceBytes) {
    const std::size_t bytes = std::min(kPieceBytes, from.size() - at);
    std::memcpy(to + at, from.data() + at, bytes);
    hasher.update({to + at, bytes});
    const std::uint64_t done = begin + at + bytes;
    if (done / kTellBytes != (done - bytes) / kTellBytes && done < record_.bytes) {  // the end waits for the record
      set_ready(done, false);
    }
  }
}

void Snapshot::set_ready(std::uint64_t bytes, bool failed) {
  {
    const std::scoped_lock lock(mutex_);
    ready_ = bytes;
    failed_ = failed;
  }
  advanced_.notify_all();
}

std::span<const std::byte> Snapshot::wait_for(std::uint64_t bytes) {
  std::unique_lock lock(mutex_);
  // Needs no deadline: the thread that copies either goes on or reports its failure.
  advanced_.wait(lock, [&] { return failed_ || ready_ >= bytes; });
  require(!failed_, "checkpoint: the state could not be copied; see the error of the step");
  return {image_.bytes_data(), bytes};
}

}  // namespace trireme::checkpoint
