#include "trireme/checkpoint/retention.h"

#include <algorithm>

#include "trireme/checkpoint/layout.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"

namespace trireme::checkpoint {
namespace {

bool is_shard(std::string_view name) { return name.ends_with(".safetensors"); }

// A replacement that a crash interrupted: the old checkpoint goes back to its name unless the new one has taken it.
void settle_replaced(FileSystem& files, const std::string& directory, const DirectoryEntry& entry) {
  const std::string old = join_path(directory, replaced_name(entry.step));
  const std::string current = join_path(directory, committed_name(entry.step));
  if (files.status(join_path(current, kManifestName))) {
    delete_checkpoint(files, old, "");
    return;
  }
  if (files.status(current)) {
    delete_checkpoint(files, current, "");
  }
  if (!files.status(current)) {
    files.rename(old, current);
    files.sync_directory(directory);
  }
}

bool only_checkpoint_files(const std::vector<std::string>& names) {
  return std::all_of(names.begin(), names.end(), [](const std::string& name) { return is_checkpoint_file(name); });
}

void clean_entry(FileSystem& files, const std::string& directory, const std::string& name,
                 std::optional<std::uint64_t> run_id) {
  const std::optional<DirectoryEntry> entry = parse_directory_entry(name);
  const std::string path = join_path(directory, name);
  const std::optional<FileStatus> there = files.status(path);  // gone if settling another entry took it along
  if (!entry || !there || !there->is_directory) {
    return;
  }
  switch (entry->kind) {
    case EntryKind::staging:
      if (entry->run_id != run_id) {
        delete_checkpoint(files, path, "");
      }
      return;
    case EntryKind::recycled:  // always: a crash may have left a file in two directories, and it must not be
                               // overwritten
      delete_checkpoint(files, path, "");
      return;
    case EntryKind::replaced:
      settle_replaced(files, directory, *entry);
      return;
    case EntryKind::committed:
      if (!files.status(join_path(path, kManifestName)) && only_checkpoint_files(files.list(path))) {
        delete_checkpoint(files, path, "");
      }
      return;
  }
}

}  // namespace

std::vector<std::string> plan_retention(std::vector<Kept> checkpoints, int keep) {
  require(keep >= 1, "checkpoint: keep {} given, at least 1 expected", keep);
  std::sort(checkpoints.begin(), checkpoints.end(),
            [](const Kept& a, const Kept& b) { return std::pair(a.sequence, a.name) < std::pair(b.sequence, b.name); });
  auto oldest_kept = checkpoints.end();
  for (int whole = 0; whole < keep && oldest_kept != checkpoints.begin();) {
    --oldest_kept;
    whole += oldest_kept->whole ? 1 : 0;
  }
  std::vector<std::string> names;
  for (auto one = checkpoints.begin(); one != oldest_kept; ++one) {
    names.push_back(one->name);
  }
  return names;
}

void delete_checkpoint(FileSystem& files, const std::string& path, const std::string& recycled) {
  if (files.status(join_path(path, kManifestName))) {
    files.remove_file(join_path(path, kManifestName));
  }
  files.sync_directory(path);  // also if it is gone: who removed it may have died before this line
  bool foreign = false;
  for (const std::string& name : files.list(path)) {
    if (!is_checkpoint_file(name)) {
      foreign = true;
    } else if (!recycled.empty() && is_shard(name)) {
      files.rename(join_path(path, name), join_path(recycled, name));
    } else {
      files.remove_file(join_path(path, name));
    }
  }
  if (foreign) {
    log::warning("checkpoint {} was deleted, but its directory holds other files and stays", path);
    return;
  }
  files.remove_directory(path);
}

void clean_directory(FileSystem& files, const std::string& directory, std::optional<std::uint64_t> run_id) {
  try {  // what is seen here must not be undone by a crash after something was deleted because of it
    files.sync_directory(directory);
  } catch (const Error& error) {
    log::warning("checkpoint leftovers stay: {}", error.what());
    return;
  }
  for (const std::string& name : files.list(directory)) {
    try {
      clean_entry(files, directory, name, run_id);
    } catch (const Error& error) {  // leftovers cost space, not correctness
      log::warning("checkpoint leftovers stay: {}", error.what());
    }
  }
}

}  // namespace trireme::checkpoint
