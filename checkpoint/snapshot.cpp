#include "trireme/checkpoint/snapshot.h"

#include <algorithm>
#include <cstring>

#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/placement.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/filesystem.h"

namespace trireme::checkpoint {
namespace {

// Copied, then hashed while it is still in the nearest cache.
constexpr std::size_t kPieceBytes = std::size_t{16} << 10;
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
  parts_ = std::move(plan.parts);
  header_ = std::move(plan.file.header);
  record_ = {shard_name(rank), plan.file.file_bytes, kBlockBytes, {}};
  set_ready(0, true);
  reserve_image(record_.bytes);
}

void Snapshot::reserve_image(std::uint64_t bytes) {
  if (!image_.defined() || image_.bytes() < bytes + kDirectAlignment) {
    image_ = Array();  // the old one goes before the new one comes
    image_ = Array::empty({static_cast<std::int64_t>(bytes + kDirectAlignment)}, DType::u8);
  }
  const std::uint64_t above = reinterpret_cast<std::uintptr_t>(image_.bytes_data()) % kDirectAlignment;
  begin_ = image_.bytes_data() + (kDirectAlignment - above) % kDirectAlignment;
}

void Snapshot::begin(std::span<const sharding::StateTensor> tensors) {
  pieces_.clear();
  pieces_.push_back({std::as_bytes(std::span(header_)), 0, header_.size()});
  for (const ShardPart& part : parts_) {
    const sharding::StateTensor& tensor = tensors[part.tensor];
    if (part.rows == 0) {
      continue;
    }
    const Array values = dense_rows(tensor.rows, part.row - tensor.row_begin, part.rows);
    const std::span<const std::byte> bytes(values.bytes_data(), values.bytes());
    if (tensor.steady || !tensor.rows.is_contiguous()) {  // a dense copy of strided rows changes no more, either
      held_.push_back(values.pinned());
      pieces_.push_back({bytes, part.begin, bytes.size()});
    } else {
      std::copy(bytes.begin(), bytes.end(), begin_ + part.begin);
      pieces_.push_back({{}, part.begin, bytes.size()});
    }
  }
  set_ready(0, false);
}

void Snapshot::copy() noexcept {
  try {
    BlockHasher hasher;
    for (const Piece& piece : pieces_) {
      copy_and_hash(piece, hasher);
    }
    record_.block_hashes = hasher.finish();
    set_ready(record_.bytes, true);
  } catch (const std::exception& error) {
    set_ready(0, true, error.what());
  }
}

void Snapshot::copy_and_hash(const Piece& piece, BlockHasher& hasher) {
  std::byte* to = begin_ + piece.begin;
  for (std::uint64_t at = 0; at < piece.bytes; at += kPieceBytes) {
    const std::uint64_t bytes = std::min<std::uint64_t>(kPieceBytes, piece.bytes - at);
    if (!piece.from.empty()) {
      std::memcpy(to + at, piece.from.data() + at, bytes);
    }
    hasher.update({to + at, bytes});
    const std::uint64_t done = piece.begin + at + bytes;
    if (done / kTellBytes != (done - bytes) / kTellBytes && done < record_.bytes) {  // the end waits for the record
      set_ready(done, false);
    }
  }
}

void Snapshot::set_ready(std::uint64_t bytes, bool ended, std::string failure) {
  {
    const std::scoped_lock lock(mutex_);
    ready_ = bytes;
    ended_ = ended;
    failure_ = std::move(failure);
  }
  advanced_.notify_all();
}

void Snapshot::wait_copied() {
  {
    std::unique_lock lock(mutex_);
    // Needs no deadline: the thread that copies either goes on or reports its failure.
    advanced_.wait(lock, [this] { return ended_; });
  }
  held_.clear();
}

std::span<const std::byte> Snapshot::wait_for(std::uint64_t bytes) {
  std::unique_lock lock(mutex_);
  // Needs no deadline: see wait_copied().
  advanced_.wait(lock, [&] { return !failure_.empty() || ready_ >= bytes; });
  require(failure_.empty(), "checkpoint: the state could not be copied: {}", failure_);
  return {begin_, bytes};
}

}  // namespace trireme::checkpoint
