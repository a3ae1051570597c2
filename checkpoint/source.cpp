#include "trireme/checkpoint/source.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "trireme/checkpoint/layout.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kIndexBytesMax = std::uint64_t{64} << 20;
constexpr std::string_view kModelSuffix = ".safetensors";
constexpr std::string_view kIndexName = "model.safetensors.index.json";
constexpr int kIndexDepthMax = 2;  // { "weight_map": { tensor: file } }

// tensor name -> file name, from the index.
std::map<std::string, std::string> read_index(FileSystem& files, const std::string& path) {
  const std::vector<std::byte> text = read_file(files, path, kIndexBytesMax);
  const auto keep = [](int depth, Json::parse_event_t, Json&) { return depth <= kIndexDepthMax; };
  const char* begin = reinterpret_cast<const char*>(text.data());
  const Json index = Json::parse(begin, begin + text.size(), keep, /*allow_exceptions=*/false);
  require(index.is_object() && index.contains("weight_map") && index["weight_map"].is_object(),
          "load {}: no JSON object with a \"weight_map\"; this is no index of safetensors files", path);
  std::map<std::string, std::string> map;
  for (const auto& [name, file] : index["weight_map"].items()) {
    require(file.is_string(), "load {}: the file of '{}' is no text; the index is damaged", path, name);
    const auto plain = file.get<std::string>();
    require(
        plain.ends_with(kModelSuffix) && plain.find('/') == std::string::npos && plain.find('\0') == std::string::npos,
        "load {}: '{}' is said to be in '{}', which is no safetensors file beside the index", path, name, plain);
    map[name] = plain;
  }
  return map;
}

SavedTensors open_index(FileSystem& files, const std::string& path) {
  const std::map<std::string, std::string> map = read_index(files, path);
  std::vector<std::string> names;
  for (const auto& [tensor, file] : map) {
    names.push_back(file);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    paths.push_back(join_path(parent_path(path), name));
  }
  SavedTensors tensors(files, paths);
  for (const auto& [name, file] : map) {
    require(tensors.find(name) != nullptr,
            "load {}: '{}' is said to be in {}, but is not; the files do not belong together", path, name, file);
  }
  return tensors;
}

bool holds_checkpoints(const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), [](const std::string& name) {
    const std::optional<DirectoryEntry> entry = parse_directory_entry(name);
    return name == kManifestName ||
           (entry && (entry->kind == EntryKind::committed || entry->kind == EntryKind::replaced));
  });
}

SavedTensors open_directory(FileSystem& files, const std::string& path, const std::vector<std::string>& names) {
  if (std::find(names.begin(), names.end(), kIndexName) != names.end()) {
    return open_index(files, join_path(path, kIndexName));
  }
  std::vector<std::string> paths;
  for (const std::string& name : names) {
    if (name.ends_with(kModelSuffix)) {
      paths.push_back(join_path(path, name));
    }
  }
  require(!paths.empty(), "load {}: the directory holds neither checkpoints nor safetensors files; give another path",
          path);
  return {files, paths};
}

}  // namespace

Source::Source(Reader checkpoint) : path_(checkpoint.path()), checkpoint_(std::move(checkpoint)) {}

Source Source::open(FileSystem& files, const std::string& path) {
  const std::optional<FileStatus> there = files.status(path);
  require(there.has_value(),
          "load {}: no such file or directory; give a safetensors file, an index of several, or a directory of them",
          path);
  if (there->is_directory) {
    const std::vector<std::string> names = files.list(path);
    if (holds_checkpoints(names)) {
      return Source(Reader::open_path(files, path, Verify::when_loaded));
    }
    return {path, open_directory(files, path, names)};
  }
  if (path.ends_with(".json")) {
    return {path, open_index(files, path)};
  }
  return {path, SavedTensors(files, std::span(&path, 1))};
}

}  // namespace trireme::checkpoint
