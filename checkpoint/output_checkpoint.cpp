#include <algorithm>
#include <chrono>
#include <random>

#include "trireme/checkpoint/directory_lock.h"
#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/reader.h"
#include "trireme/checkpoint/retention.h"
#include "trireme/checkpoint/shard_plan.h"
#include "trireme/checkpoint/tensor_output.h"
#include "trireme/checkpoint/tensor_stream.h"
#include "trireme/core/base/clock.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"

namespace trireme::checkpoint {
namespace {

// The tensors as a rank would hold them, without values.
std::vector<sharding::StateTensor> without_values(std::span<const TensorCopy> copies) {
  std::vector<sharding::StateTensor> state;
  for (const TensorCopy& copy : copies) {
    const Shape shape(copy.from->shape);
    state.push_back({copy.name, shape, 0, Array::deferred(shape, copy.dtype)});
  }
  return state;
}

FileRecord write_shard(FileSystem& files, const std::string& directory, const ShardPlan& plan, int rank,
                       std::span<const TensorCopy> copies, SavedTensors& from, const Advance& advance) {
  std::vector<StreamedPart> parts;
  PlannedFile file = plan.file;
  file.begins.clear();
  for (const ShardPart& part : plan.parts) {
    const TensorCopy& copy = copies[part.tensor];
    const std::vector<std::int64_t>& shape = copy.from->shape;
    const auto rows = static_cast<std::uint64_t>(shape.empty() ? 1 : shape[0]);
    const std::uint64_t row = rows == 0 ? 0 : copy.from->elements / rows;
    parts.push_back({&copy, static_cast<std::uint64_t>(part.row) * row, static_cast<std::uint64_t>(part.rows) * row});
    file.begins.push_back(part.begin);
  }
  const std::unique_ptr<File> content = files.open(join_path(directory, shard_name(rank)), OpenMode::create);
  FileRecord record{shard_name(rank), file.file_bytes, kBlockBytes, {}};
  record.block_hashes = stream_tensors(*content, file, parts, from, advance);
  content->sync();
  return record;
}

std::uint64_t next_sequence(FileSystem& files, const std::string& directory) {
  std::uint64_t newest = 0;
  for (const Candidate& other : survey(files, directory).readable) {
    newest = std::max(newest, other.manifest.sequence);
  }
  return newest + 1;
}

std::int64_t unix_seconds_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

void write_all(FileSystem& files, const std::string& staging, Manifest& manifest, SavedTensors& from,
               std::span<const TensorCopy> copies, const Advance& advance) {
  const std::vector<sharding::StateTensor> state = without_values(copies);
  for (int rank = 0; rank < manifest.world_size; ++rank) {
    const ShardPlan plan = plan_shard(state, manifest.position.step, rank, manifest.world_size);
    manifest.files.push_back(write_shard(files, staging, plan, rank, copies, from, advance));
  }
  write_file(files, join_path(staging, kManifestName), encode_manifest(manifest));
  files.sync_directory(staging);
}

}  // namespace

std::string write_checkpoint(FileSystem& files, SavedTensors& from, std::span<const TensorCopy> copies,
                             const std::string& directory, const sharding::TrainingPosition& position, int world_size,
                             const Advance& advance) {
  require_usage(world_size >= 1, "checkpoint: {} shards given, at least 1 expected", world_size);
  require_usage(position.step >= 0, "checkpoint: step {} given, 0 or more expected", position.step);
  make_directories(files, directory);
  Manifest manifest;
  manifest.run_id = std::random_device()();
  SteadyClock clock;
  const std::unique_ptr<FileLock> lock =
      lock_directory(files, clock, directory, manifest.run_id, std::chrono::milliseconds(0));
  const std::string path = join_path(directory, committed_name(position.step));
  require(!files.status(path), "checkpoint {} exists; give another directory or another --step", path);
  manifest.sequence = next_sequence(files, directory);
  manifest.position = position;
  manifest.world_size = world_size;
  manifest.saved_unix_seconds = unix_seconds_now();
  const std::string staging = join_path(directory, staging_name(position.step, manifest.run_id));
  files.make_directory(staging);
  try {
    write_all(files, staging, manifest, from, copies, advance);
  } catch (const Error&) {
    try {
      delete_checkpoint(files, staging, "");
    } catch (const Error& left) {
      log::warning("leftovers stay: {}", left.what());
    }
    throw;
  }
  files.rename(staging, path);
  files.sync_directory(directory);
  return path;
}

}  // namespace trireme::checkpoint
