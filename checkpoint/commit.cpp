#include "trireme/checkpoint/commit.h"

#include <fmt/format.h>

#include <algorithm>

#include "trireme/checkpoint/index.h"
#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/retention.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

constexpr std::chrono::milliseconds kPollFirst{1};
constexpr std::chrono::milliseconds kPollMax{50};
constexpr std::chrono::seconds kLeavingTimeout{1};
// Enough for full speed (a direct write is under way in pieces of the disk's own, all at once), few enough to follow a
// snapshot and to stop early on errors. A multiple of kDirectAlignment.
constexpr std::uint64_t kWriteBytes = std::uint64_t{32} << 20;

struct ShardFile {
  std::unique_ptr<File> file;
  bool reused = false;
};

// A recycled file, whose blocks are allocated already, or a new one. A file with a second name is not overwritten:
// somebody keeps that checkpoint (cp -al), or has put it elsewhere and a link in its place.
ShardFile open_shard(const SaveContext& context, const std::string& path) {
  FileSystem& files = context.files;
  if (files.rename_if_exists(join_path(recycled_path(context), shard_name(context.rank)), path)) {
    const std::optional<FileStatus> there = files.status(path);
    if (there && there->sole) {
      return {files.open(path, OpenMode::update), true};
    }
    files.remove_file(path);
  }
  return {files.open(path, OpenMode::create), false};
}

// All of the file but its last, unaligned bytes past the page cache, if `direct`.
void write_bytes(File& file, Snapshot& snapshot, bool direct) {
  const std::uint64_t bytes = snapshot.file_bytes();
  const std::uint64_t aligned = direct && file.set_direct(true) ? bytes - bytes % kDirectAlignment : 0;
  for (std::uint64_t at = 0; at < bytes;) {
    if (at == aligned) {
      file.set_direct(false);
    }
    const std::uint64_t end = std::min(at < aligned ? aligned : bytes, at + kWriteBytes);
    file.write(at, snapshot.wait_for(end).subspan(at));
    at = end;
  }
  file.sync();
}

void write_shard(const SaveContext& context, const std::string& path, Snapshot& snapshot, WriteWay& way) {
  const ShardFile shard = open_shard(context, path);
  const std::uint64_t bytes = snapshot.file_bytes();
  const bool same = shard.file->size() == bytes;
  if (!same) {
    shard.file->resize(bytes);
    shard.file->reserve(bytes);
  }
  const bool overwrites = shard.reused && same;
  const Clock::TimePoint start = context.clock.now();
  write_bytes(*shard.file, snapshot, way.direct(bytes, overwrites));
  way.took(bytes, overwrites, context.clock.now() - start);
}

void discard(FileSystem& files, const std::string& path) noexcept {
  try {
    files.remove_file(path);
  } catch (...) {  // it may not even be there
  }
}

void write_record(const SaveContext& context, std::int64_t step, const ShardRecord& record) {
  const std::string path = join_path(staging_path(context, step), record_name(context.rank));
  write_file(context.files, path + ".tmp", encode_record(record));
  context.files.rename(path + ".tmp", path);
}

// Collects the records that have come; true when all have. The directory is listed, because a network file system may
// go on for a minute remembering that a single name was not there.
bool collect(const SaveContext& context, const std::string& staging, std::vector<FileRecord>& records) {
  bool complete = true;
  const std::vector<std::string> there = context.files.list(staging);  // sorted
  for (int rank = 0; rank < context.world_size; ++rank) {
    FileRecord& slot = records[static_cast<std::size_t>(rank)];
    if (!slot.name.empty()) {
      continue;
    }
    if (!std::binary_search(there.begin(), there.end(), record_name(rank))) {
      complete = false;
      continue;
    }
    const std::string path = join_path(staging, record_name(rank));
    const std::vector<std::byte> bytes = read_file(context.files, path, kMessageBytesMax);
    require(!bytes.empty(), "checkpoint in {}: rank {} could not save its part, nor say why here; its own message does",
            context.directory, rank);
    ShardRecord record = decode_record(bytes, path);
    require(record.error.empty(), "checkpoint in {}: rank {} could not save its part: {}", context.directory, rank,
            record.error);
    require(record.file.name == shard_name(rank), "{}: it names the file '{}', '{}' expected; the file is damaged",
            path, record.file.name, shard_name(rank));
    slot = std::move(record.file);
  }
  return complete;
}

std::vector<FileRecord> wait_for_records(const SaveContext& context, const std::string& staging) {
  std::vector<FileRecord> records(static_cast<std::size_t>(context.world_size));
  const Clock::TimePoint start = context.clock.now();
  Clock::Duration pause = kPollFirst;
  while (!collect(context, staging, records)) {
    const Clock::Duration waited = context.clock.now() - start;
    if (waited >= context.commit_timeout || (context.leaving && waited >= kLeavingTimeout)) {
      std::vector<int> missing;
      for (int rank = 0; rank < context.world_size; ++rank) {
        if (records[static_cast<std::size_t>(rank)].name.empty()) {
          missing.push_back(rank);
        }
      }
      fail(
          "checkpoint in {}: ranks [{}] of {} stored nothing within {} s; they failed, or the directory is not shared "
          "by all hosts",
          context.directory, fmt::join(missing, ", "), context.world_size,
          std::chrono::round<std::chrono::seconds>(waited).count());
    }
    context.clock.sleep(pause);
    pause = std::min<Clock::Duration>(2 * pause, kPollMax);
  }
  return records;
}

// A gap or an overlap between the ranks' slices is a strategy's mistake; better found now than at the resume.
void require_whole_tensors(const SaveContext& context, const std::string& staging,
                           const std::vector<FileRecord>& records) {
  std::vector<std::unique_ptr<SafetensorsFile>> shards;
  for (const FileRecord& record : records) {
    shards.push_back(std::make_unique<SafetensorsFile>(context.files, join_path(staging, record.name)));
    require(shards.back()->bytes() == record.bytes,
            "{}: the file has {} bytes here, its rank wrote {}; the directory is not shared as it should be",
            shards.back()->path(), shards.back()->bytes(), record.bytes);
  }
  const Index index(shards);
}

// Moves the finished directory to its name. One of the same step (of a run that went another way) is put aside first,
// so that at every moment one of them is found.
void publish(const SaveContext& context, const std::string& staging, std::int64_t step) {
  FileSystem& files = context.files;
  const std::string target = join_path(context.directory, committed_name(step));
  const std::string aside = join_path(context.directory, replaced_name(step));
  if (const std::optional<FileStatus> there = files.status(target)) {
    require(there->is_directory, "checkpoint: the file {} is in the way and is none of Trireme's; move it away",
            target);
    if (files.status(aside)) {
      delete_checkpoint(files, aside, "");
    }
    files.rename(target, aside);
  }
  files.rename(staging, target);
  files.sync_directory(context.directory);
}

}  // namespace

std::string recycled_path(const SaveContext& context) {
  return join_path(context.directory, recycled_name(context.run_id));
}

std::string staging_path(const SaveContext& context, std::int64_t step) {
  return join_path(context.directory, staging_name(step, context.run_id));
}

void store_shard(const SaveContext& context, std::int64_t step, Snapshot& snapshot, WriteWay& way) {
  const std::string staging = staging_path(context, step);
  context.files.make_directory(staging);
  const std::string path = join_path(staging, shard_name(context.rank));
  try {
    write_shard(context, path, snapshot, way);
  } catch (...) {  // a full disk wants its space back; not later, when the committer may have seen the record
    discard(context.files, path);
    throw;
  }
  write_record(context, step, {snapshot.record(), ""});
}

void store_failure(const SaveContext& context, std::int64_t step, const std::string& reason) noexcept {
  try {
    write_record(context, step, {{}, reason});
  } catch (...) {  // the disk that failed refuses this too, but a full one has room for a name
    const std::string path = join_path(staging_path(context, step), record_name(context.rank));
    try {
      context.files.open(path + ".tmp", OpenMode::create);
      context.files.rename(path + ".tmp", path);
    } catch (...) {  // the committer's deadline remains
    }
  }
}

void commit(const SaveContext& context, const sharding::TrainingPosition& position, std::uint64_t sequence) {
  FileSystem& files = context.files;
  const std::string staging = staging_path(context, position.step);
  Manifest manifest;
  manifest.sequence = sequence;
  manifest.position = position;
  manifest.world_size = context.world_size;
  manifest.files = wait_for_records(context, staging);
  manifest.run_id = context.run_id;
  manifest.saved_unix_seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  require_whole_tensors(context, staging, manifest.files);
  write_file(files, join_path(staging, kManifestName), encode_manifest(manifest));
  for (int rank = 0; rank < context.world_size; ++rank) {
    files.remove_file(join_path(staging, record_name(rank)));
  }
  files.sync_directory(staging);
  publish(context, staging, position.step);
}

}  // namespace trireme::checkpoint
