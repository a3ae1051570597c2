#include "trireme/checkpoint/reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "trireme/checkpoint/layout.h"
#include "trireme/checkpoint/placement.h"
#include "trireme/core/base/activity.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/log.h"

namespace trireme::checkpoint {
namespace {

// The newest save first; of equal ones (a replaced one whose number was lost) the committed before the replaced.
bool newer(const Candidate& a, const Candidate& b) {
  return a.manifest.sequence != b.manifest.sequence ? a.manifest.sequence > b.manifest.sequence : a.path < b.path;
}

// A disk or a network may fail once: a second look is better than an older checkpoint.
Reader open_patiently(FileSystem& files, const std::string& path, Verify verify) {
  try {
    return Reader::open(files, path, verify);
  } catch (const Error&) {
    return Reader::open(files, path, verify);
  }
}

void require_wanted(const SavedTensor* saved, const sharding::StateTensor& wanted, const std::string& path) {
  require_valid(wanted);
  require(saved != nullptr, "{}: no tensor '{}' was saved; this is a checkpoint of another model or optimizer", path,
          wanted.name);
  const std::vector<std::int64_t> shape(wanted.global_shape.begin(), wanted.global_shape.end());
  require(saved->shape == shape,
          "{}: '{}' was saved with shape [{}], the program has {}; start it with the same model options", path,
          wanted.name, fmt::join(saved->shape, ", "), to_string(wanted.global_shape));
  require(saved->dtype_name == safetensors_dtype(wanted.rows.dtype()),
          "{}: '{}' was saved as {}, the program has {}; start it with the same --precision", path, wanted.name,
          saved->dtype_name, safetensors_dtype(wanted.rows.dtype()));
}

}  // namespace

Survey survey(FileSystem& files, const std::string& directory) {
  Survey result;
  for (const std::string& name : files.list(directory)) {
    const std::optional<DirectoryEntry> entry = parse_directory_entry(name);
    if (!entry || entry->kind == EntryKind::staging || entry->kind == EntryKind::recycled) {
      continue;
    }
    const std::string path = join_path(directory, name);
    const std::string manifest = join_path(path, kManifestName);
    std::vector<std::byte> bytes;
    try {
      const std::optional<FileStatus> there = files.status(path);
      if (!there || !there->is_directory) {
        continue;
      }
      if (!files.status(manifest)) {
        result.unusable.push_back(path + ": no manifest (it was being deleted, or something else put it there)");
        continue;
      }
      bytes = read_file(files, manifest, kMessageBytesMax);
    } catch (const Error& error) {
      result.unusable.push_back(error.what());
      result.unread.push_back(error.what());
      continue;
    }
    try {
      result.readable.push_back({path, decode_manifest(bytes, manifest)});
    } catch (const Error& error) {
      result.unusable.push_back(error.what());
    }
  }
  std::sort(result.readable.begin(), result.readable.end(), newer);
  return result;
}

Reader::Reader(FileSystem& files, const std::string& path, Manifest manifest, Verify verify)
    : path_(path), manifest_(std::move(manifest)), saved_(files, path_, manifest_, verify) {}

Reader Reader::open(FileSystem& files, const std::string& path, Verify verify) {
  const std::string manifest = join_path(path, kManifestName);
  return {files, path, decode_manifest(read_file(files, manifest, kMessageBytesMax), manifest), verify};
}

std::optional<Reader> Reader::open_newest(FileSystem& files, const std::string& directory, Verify verify,
                                          std::span<const Damage> known) {
  const std::optional<FileStatus> there = files.status(directory);
  if (!there) {
    return std::nullopt;
  }
  require(there->is_directory,
          "resume from {}: it is a file, a directory of checkpoints was expected; give another path", directory);
  Survey found = survey(files, directory);
  require(found.unread.empty(), "resume from {}: {}. Try again, or move that checkpoint away", directory,
          found.unread.empty() ? "" : found.unread.front());
  std::vector<std::string> damaged;
  for (const Candidate& candidate : found.readable) {
    const auto told = std::ranges::find(known, candidate.path, &Damage::path);
    if (told != known.end()) {
      found.unusable.push_back(told->reason);
      damaged.push_back(candidate.path);
      continue;
    }
    try {
      Reader reader = open_patiently(files, candidate.path, verify);
      reader.damaged_ = std::move(damaged);
      for (const std::string& reason : found.unusable) {
        log::warning("checkpoint skipped: {}", reason);
      }
      return reader;
    } catch (const Error& error) {
      found.unusable.push_back(error.what());
      damaged.push_back(candidate.path);
    }
  }
  require(found.unusable.empty(), "resume from {}: no checkpoint there is usable: {}. Move them away to start anew",
          directory, fmt::join(found.unusable, "; "));
  return std::nullopt;
}

Reader Reader::open_path(FileSystem& files, const std::string& path, Verify verify, std::span<const Damage> known) {
  require(files.status(path).has_value(),
          "resume from {}: no such file or directory; give a checkpoint or a directory of them", path);
  if (files.status(join_path(path, kManifestName))) {
    for (const Damage& damage : known) {
      require(damage.path != path, "resume from {}: {}", path, damage.reason);
    }
    return open(files, path, verify);
  }
  std::optional<Reader> reader = open_newest(files, path, verify, known);
  require(reader.has_value(), "resume from {}: it holds no checkpoint; give a checkpoint or a directory of them", path);
  return std::move(*reader);
}

void Reader::require_fits(std::span<const sharding::StateTensor> wanted) const {
  for (const sharding::StateTensor& tensor : wanted) {
    require_wanted(saved_.find(tensor.name), tensor, path_);
  }
}

void Reader::load(std::span<const sharding::StateTensor> wanted) {
  const PhaseScope loading(Phase::loading_checkpoint);
  require_fits(wanted);
  std::vector<const SavedTensor*> saved;
  for (const sharding::StateTensor& tensor : wanted) {
    saved.push_back(saved_.find(tensor.name));
  }
  saved_.load(saved, wanted);
}

}  // namespace trireme::checkpoint
