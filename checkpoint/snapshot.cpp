#include "trireme/checkpoint/snapshot.h"

#include <algorithm>
#include <cstring>

#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/placement.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

// Copied, then hashed while it is still in the cache.
constexpr std::size_t kPieceBytes = std::size_t{128} << 10;
// How often the follower is told.
constexpr std::uint64_t kTellBytes = std::uint64_t{8} << 20;

// Rows as one dense block: a view of the tensor, or a copy if the tensor is strided.
Array dense_rows(const Array& tensor, std::int64_t row, std::int64_t rows) {
  return tensor.dims() == 0 ? tensor : tensor.narrow(0, row, rows).contiguous();
}

}  // namespace

void Snapshot::plan(std::span<const sharding::StateTensor> tensors, std::int64_t step, int rank, int world_size) {
  for (const sharding::StateTensor& tensor : tensors) {
    require_valid(tensor);
  }
  ShardPlan plan = plan_shard(tensors, step, rank, world_size);
  PlannedFile file = std::move(plan.file);
  parts_ = std::move(plan.parts);
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
    for (const ShardPart& part : parts_) {
      const sharding::StateTensor& tensor = tensors[part.tensor];
      const Array values = dense_rows(tensor.rows, part.row - tensor.row_begin, part.rows);
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
