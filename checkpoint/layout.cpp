#include "trireme/checkpoint/layout.h"

#include <fmt/format.h>

#include <charconv>

namespace trireme::checkpoint {
namespace {

constexpr std::string_view kStepPrefix = "step-";
constexpr std::string_view kStagingMark = ".tmp-";
constexpr std::string_view kRecycledPrefix = "recycled.tmp-";
constexpr std::string_view kReplacedMark = ".replaced";

template <class T>
std::optional<T> parse_number(std::string_view text, int base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::string shard_name(int rank) { return fmt::format("shard-{:05}-model-00001-of-00001.safetensors", rank + 1); }

std::string record_name(int rank) { return fmt::format("shard-{:05}.record", rank + 1); }

std::string committed_name(std::int64_t step) { return fmt::format("{}{:08}", kStepPrefix, step); }

std::string replaced_name(std::int64_t step) { return committed_name(step).append(kReplacedMark); }

std::string staging_name(std::int64_t step, std::uint64_t run_id) {
  return fmt::format("{}{}{:016x}", committed_name(step), kStagingMark, run_id);
}

std::string recycled_name(std::uint64_t run_id) { return fmt::format("{}{:016x}", kRecycledPrefix, run_id); }

std::optional<DirectoryEntry> parse_directory_entry(std::string_view name) {
  if (name.starts_with(kRecycledPrefix)) {
    const auto run_id = parse_number<std::uint64_t>(name.substr(kRecycledPrefix.size()), 16).value_or(0);
    return name == recycled_name(run_id) ? std::optional(DirectoryEntry{EntryKind::recycled, 0, run_id}) : std::nullopt;
  }
  if (!name.starts_with(kStepPrefix)) {
    return std::nullopt;
  }
  const std::string_view digits = name.substr(kStepPrefix.size(), name.find('.') - kStepPrefix.size());
  const auto step = parse_number<std::int64_t>(digits, 10);
  if (!step || *step < 0) {
    return std::nullopt;
  }
  DirectoryEntry entry{EntryKind::committed, *step, 0};
  if (name == committed_name(*step)) {
    return entry;
  }
  if (name == replaced_name(*step)) {
    entry.kind = EntryKind::replaced;
    return entry;
  }
  const std::size_t mark = name.find(kStagingMark);
  if (mark == std::string_view::npos) {
    return std::nullopt;
  }
  entry.kind = EntryKind::staging;
  entry.run_id = parse_number<std::uint64_t>(name.substr(mark + kStagingMark.size()), 16).value_or(0);
  return name == staging_name(*step, entry.run_id) ? std::optional(entry) : std::nullopt;
}

bool is_checkpoint_file(std::string_view name) {
  if (name.ends_with(".tmp")) {
    name.remove_suffix(4);
  }
  if (name == kManifestName) {
    return true;
  }
  constexpr std::string_view kShardPrefix = "shard-";
  if (!name.starts_with(kShardPrefix)) {
    return false;
  }
  const std::size_t end = name.find_first_not_of("0123456789", kShardPrefix.size());
  const auto number = parse_number<int>(name.substr(kShardPrefix.size(), end - kShardPrefix.size()), 10);
  return number && *number >= 1 && (name == shard_name(*number - 1) || name == record_name(*number - 1));
}

}  // namespace trireme::checkpoint
