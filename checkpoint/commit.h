// The two halves of a save after the snapshot: every rank stores its shard; rank 0 commits when all shards are there.
// Internal to checkpoint/ (writer.h is the interface). No collective: the file system is all that the ranks share.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include "trireme/checkpoint/manifest.h"
#include "trireme/checkpoint/snapshot.h"
#include "trireme/checkpoint/write_way.h"
#include "trireme/core/base/clock.h"
#include "trireme/core/base/filesystem.h"

namespace trireme::checkpoint {

// Where and by whom one save happens.
struct SaveContext {
  FileSystem& files;
  Clock& clock;
  std::string directory;
  std::uint64_t run_id = 0;
  int rank = 0;
  int world_size = 1;
  std::chrono::nanoseconds commit_timeout{};
  std::atomic<bool> leaving = false;  // the run ends: nobody waits long for ranks that may be gone already
};

// Where files of deleted checkpoints wait to be overwritten.
std::string recycled_path(const SaveContext& context);
// Where the parts of a step are put together.
std::string staging_path(const SaveContext& context, std::int64_t step);

// Stores the shard in the staging directory: bytes, sync, then the record, which appears at once or not at all. Follows
// a snapshot that may still be under way. A shard that could not be written is removed. `way` decides how the bytes go,
// and learns how long they took.
void store_shard(const SaveContext& context, std::int64_t step, Snapshot& snapshot, WriteWay& way);
// Tells the committer that this rank's shard will not come. Best effort.
void store_failure(const SaveContext& context, std::int64_t step, const std::string& reason) noexcept;

// Waits for the records of all ranks (raises Error naming the missing ones at the deadline), checks that the shards
// make up whole tensors, writes the manifest last and renames the directory into place. Returns when that is durable.
void commit(const SaveContext& context, const sharding::TrainingPosition& position, std::uint64_t sequence);

}  // namespace trireme::checkpoint
