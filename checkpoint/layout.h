// The names of a checkpoint directory (docs/checkpoint_format.md), made and recognized in one place.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace trireme::checkpoint {

inline constexpr std::string_view kManifestName = "manifest.pb";
inline constexpr std::string_view kLockName = "lock";

std::string shard_name(int rank);               // "shard-00001-model-00001-of-00001.safetensors" for rank 0
std::string record_name(int rank);              // "shard-00001.record"
std::string committed_name(std::int64_t step);  // "step-00000042"
std::string replaced_name(std::int64_t step);   // "step-00000042.replaced"
std::string staging_name(std::int64_t step, std::uint64_t run_id);  // "step-00000042.tmp-000000000000002a"

// Files of deleted checkpoints, to be overwritten: "recycled.tmp-000000000000002a". Only of use within one run.
std::string recycled_name(std::uint64_t run_id);

enum class EntryKind { committed, replaced, staging, recycled };
struct DirectoryEntry {
  EntryKind kind = EntryKind::committed;
  std::int64_t step = 0;     // not of a recycled directory
  std::uint64_t run_id = 0;  // of a staging or recycled directory
};
// Nothing for names that are not exactly one of the above: those belong to somebody else.
std::optional<DirectoryEntry> parse_directory_entry(std::string_view name);

// True for the files that a writer puts into a step's directory, temporary ones included: only those are ever deleted.
bool is_checkpoint_file(std::string_view name);

}  // namespace trireme::checkpoint
