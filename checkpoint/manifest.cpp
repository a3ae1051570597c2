#include "trireme/checkpoint/manifest.h"

#include <array>
#include <cmath>
#include <cstring>

#include "checkpoint/manifest.pb.h"
#include "trireme/checkpoint/layout.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"

namespace trireme::checkpoint {
namespace {

using Magic = std::array<char, 8>;
constexpr Magic kManifestMagic = {'T', 'R', 'I', 'R', 'M', 'A', 'N', '1'};
constexpr Magic kRecordMagic = {'T', 'R', 'I', 'R', 'R', 'E', 'C', '1'};
constexpr std::size_t kFrameBytes = 24;
constexpr std::uint64_t kWorldSizeMax = 1'000'000;
constexpr std::uint64_t kBlockBytesMin = 4096;
constexpr std::uint64_t kBlockBytesMax = std::uint64_t{1} << 30;

void put_u64(std::byte* at, std::uint64_t value) {
  for (int i = 0; i < 8; ++i) {
    at[i] = static_cast<std::byte>((value >> (8 * i)) & 0xffu);
  }
}

std::uint64_t get_u64(const std::byte* at) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) {
    value = (value << 8) | std::to_integer<std::uint64_t>(at[i]);
  }
  return value;
}

template <class Message>
std::vector<std::byte> encode(const Message& message, const Magic& magic) {
  std::vector<std::byte> bytes(kFrameBytes + message.ByteSizeLong());
  const std::span<std::byte> payload = std::span(bytes).subspan(kFrameBytes);
  require(message.SerializeToArray(payload.data(), static_cast<int>(payload.size())),
          "checkpoint: a manifest of {} bytes cannot be encoded", payload.size());
  std::memcpy(bytes.data(), magic.data(), magic.size());
  put_u64(bytes.data() + 8, payload.size());
  put_u64(bytes.data() + 16, xxh3(payload));
  return bytes;
}

template <class Message>
Message decode(std::span<const std::byte> bytes, const Magic& magic, const std::string& path) {
  require(bytes.size() >= kFrameBytes && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0,
          "{}: does not begin as such a file does ({} bytes); it is damaged or something else", path, bytes.size());
  const std::span<const std::byte> payload = bytes.subspan(kFrameBytes);
  require(get_u64(bytes.data() + 8) == payload.size(), "{}: {} bytes announced, {} there; the file was cut short", path,
          get_u64(bytes.data() + 8), payload.size());
  require(get_u64(bytes.data() + 16) == xxh3(payload), "{}: the checksum does not match; the file is damaged", path);
  Message message;
  require(message.ParseFromArray(payload.data(), static_cast<int>(payload.size())),
          "{}: the message cannot be parsed; the file is damaged", path);
  return message;
}

void to_proto(const FileRecord& from, proto::FileRecord& to) {
  to.set_name(from.name);
  to.set_bytes(from.bytes);
  to.set_block_bytes(from.block_bytes);
  for (const std::uint64_t hash : from.block_hashes) {
    to.add_block_hashes(hash);
  }
}

FileRecord from_proto(const proto::FileRecord& from, const std::string& path) {
  FileRecord to;
  to.name = from.name();
  to.bytes = from.bytes();
  to.block_bytes = from.block_bytes();
  require(to.block_bytes >= kBlockBytesMin && to.block_bytes <= kBlockBytesMax && to.bytes < (std::uint64_t{1} << 62) &&
              to.blocks() == static_cast<std::uint64_t>(from.block_hashes_size()),
          "{}: {} checksums for '{}' of {} bytes in blocks of {}; the file is damaged", path, from.block_hashes_size(),
          to.name, to.bytes, to.block_bytes);
  to.block_hashes.assign(from.block_hashes().begin(), from.block_hashes().end());
  return to;
}

void to_proto(const sharding::TrainingPosition& from, proto::Position& to) {
  to.set_step(from.step);
  to.set_epoch(from.epoch);
  to.set_batch_in_epoch(from.batch_in_epoch);
  to.set_optimizer_steps(from.optimizer_steps);
  to.set_seed(from.seed);
  to.set_lanes(from.lanes);
  to.set_accumulate(from.accumulate);
  to.set_global_batch(from.global_batch);
  to.set_strategy(from.strategy);
  to.set_epoch_loss(from.epoch_loss);
  to.set_epoch_weight(from.epoch_weight);
  if (!std::isnan(from.best_seen.value)) {
    to.set_best_seen(from.best_seen.value);
  }
  to.set_looks_since_best(from.best_seen.looks_since);
  for (const auto& [key, value] : from.extra) {
    proto::Extra& extra = *to.add_extra();
    extra.set_key(key);
    extra.set_value(value);
  }
}

sharding::TrainingPosition from_proto(const proto::Position& from) {
  sharding::TrainingPosition to;
  to.step = from.step();
  to.epoch = from.epoch();
  to.batch_in_epoch = from.batch_in_epoch();
  to.optimizer_steps = from.optimizer_steps();
  to.seed = from.seed();
  to.lanes = from.lanes();
  to.accumulate = from.accumulate();
  to.global_batch = from.global_batch();
  to.strategy = from.strategy();
  to.epoch_loss = from.epoch_loss();
  to.epoch_weight = from.epoch_weight();
  if (from.has_best_seen()) {
    to.best_seen.value = from.best_seen();
  }
  to.best_seen.looks_since = from.looks_since_best();
  for (const proto::Extra& extra : from.extra()) {
    to.extra[extra.key()] = extra.value();
  }
  return to;
}

void require_valid(const proto::Manifest& message, const std::string& path) {
  require(message.format_version() == kFormatVersion,
          "{}: format version {}, this program reads {}; use the version of Trireme that wrote it, or a newer one",
          path, message.format_version(), kFormatVersion);
  require(message.world_size() >= 1 && message.world_size() <= kWorldSizeMax &&
              message.files_size() == static_cast<int>(message.world_size()),
          "{}: {} files for a world size of {}; the file is damaged", path, message.files_size(), message.world_size());
  const proto::Position& position = message.position();
  require(position.step() >= 0 && position.epoch() >= 0 && position.batch_in_epoch() >= 0 &&
              position.optimizer_steps() >= 0 && position.lanes() >= 1 && position.accumulate() >= 1 &&
              position.global_batch() >= 0 && position.looks_since_best() >= 0,
          "{}: impossible position (step {}, epoch {}, lanes {}); the file is damaged", path, position.step(),
          position.epoch(), position.lanes());
}

}  // namespace

std::uint64_t Manifest::total_bytes() const {
  std::uint64_t sum = 0;
  for (const FileRecord& file : files) {
    sum += file.bytes;
  }
  return sum;
}

std::vector<std::byte> encode_manifest(const Manifest& manifest) {
  proto::Manifest message;
  message.set_format_version(kFormatVersion);
  message.set_sequence(manifest.sequence);
  to_proto(manifest.position, *message.mutable_position());
  message.set_world_size(static_cast<std::uint32_t>(manifest.world_size));
  for (const FileRecord& file : manifest.files) {
    to_proto(file, *message.add_files());
  }
  message.set_total_bytes(manifest.total_bytes());
  message.set_run_id(manifest.run_id);
  message.set_saved_unix_seconds(manifest.saved_unix_seconds);
  return encode(message, kManifestMagic);
}

std::vector<std::byte> encode_record(const ShardRecord& record) {
  proto::ShardRecord message;
  to_proto(record.file, *message.mutable_file());
  message.set_error(record.error);
  return encode(message, kRecordMagic);
}

Manifest decode_manifest(std::span<const std::byte> bytes, const std::string& path) {
  const auto message = decode<proto::Manifest>(bytes, kManifestMagic, path);
  require_valid(message, path);
  Manifest manifest;
  manifest.sequence = message.sequence();
  manifest.position = from_proto(message.position());
  manifest.world_size = static_cast<int>(message.world_size());
  for (const proto::FileRecord& file : message.files()) {
    const int rank = static_cast<int>(manifest.files.size());
    require(file.name() == shard_name(rank), "{}: file '{}' listed for rank {}, '{}' expected; the file is damaged",
            path, file.name(), rank, shard_name(rank));
    manifest.files.push_back(from_proto(file, path));
  }
  manifest.run_id = message.run_id();
  manifest.saved_unix_seconds = message.saved_unix_seconds();
  require(manifest.total_bytes() == message.total_bytes(), "{}: files of {} bytes, {} announced; the file is damaged",
          path, manifest.total_bytes(), message.total_bytes());
  return manifest;
}

ShardRecord decode_record(std::span<const std::byte> bytes, const std::string& path) {
  const auto message = decode<proto::ShardRecord>(bytes, kRecordMagic, path);
  ShardRecord record;
  record.error = message.error();
  if (record.error.empty()) {
    record.file = from_proto(message.file(), path);
  }
  return record;
}

}  // namespace trireme::checkpoint
