// Manifest and shard records: the small messages of a checkpoint, as plain structs and as framed bytes.
//
// Frame: 8 bytes magic, u64 payload length, u64 XXH3-64 of the payload (little-endian), then the payload (Protobuf,
// manifest.proto). Whoever reads one knows at once whether it is whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "trireme/sharding/state.h"

namespace trireme::checkpoint {

inline constexpr std::uint32_t kFormatVersion = 1;
inline constexpr std::uint64_t kBlockBytes = std::uint64_t{4} << 20;         // what one checksum covers
inline constexpr std::uint64_t kMessageBytesMax = std::uint64_t{256} << 20;  // of a framed file

struct FileRecord {
  std::string name;
  std::uint64_t bytes = 0;
  std::uint64_t block_bytes = kBlockBytes;
  std::vector<std::uint64_t> block_hashes;

  std::uint64_t blocks() const { return (bytes + block_bytes - 1) / block_bytes; }
};

struct ShardRecord {
  FileRecord file;
  std::string error;  // not empty: why the rank could not save
};

struct Manifest {
  std::uint64_t sequence = 0;  // of the save within its directory; the largest is the newest
  sharding::TrainingPosition position;
  int world_size = 1;
  std::vector<FileRecord> files;  // files[r] was written by rank r
  std::uint64_t run_id = 0;
  std::int64_t saved_unix_seconds = 0;

  std::uint64_t total_bytes() const;
};

std::vector<std::byte> encode_manifest(const Manifest& manifest);
std::vector<std::byte> encode_record(const ShardRecord& record);
// Parse and validate: frame, checksum, version, counts, names (plain ones, so that no path leaves the directory) and
// sizes. Raise Error naming `path`.
Manifest decode_manifest(std::span<const std::byte> bytes, const std::string& path);
ShardRecord decode_record(std::span<const std::byte> bytes, const std::string& path);

}  // namespace trireme::checkpoint
