#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "trireme/checkpoint/new_file.h"
#include "trireme/checkpoint/tensor_output.h"
#include "trireme/checkpoint/tensor_stream.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

constexpr std::string_view kModelSuffix = ".safetensors";

using Group = std::span<const TensorCopy>;

// Neighbouring tensors of at most `bytes_max` together; a larger one is a group of its own.
std::vector<Group> group_by_bytes(Group copies, std::uint64_t bytes_max) {
  std::vector<Group> groups;
  std::size_t first = 0;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < copies.size(); ++i) {
    if (i > first && bytes + copies[i].bytes() > bytes_max) {
      groups.push_back(copies.subspan(first, i - first));
      first = i;
      bytes = 0;
    }
    bytes += copies[i].bytes();
  }
  groups.push_back(copies.subspan(first));
  return groups;
}

void require_distinct(Group copies) {
  std::vector<std::string_view> names;
  for (const TensorCopy& copy : copies) {
    names.push_back(copy.name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  require(twice == names.end(), "copy: two tensors would be called '{}'; rename one of them",
          twice == names.end() ? "" : *twice);
}

void stream_model(File& file, Group group, SavedTensors& from, const Advance& advance) {
  std::vector<TensorToWrite> entries;
  std::vector<StreamedPart> parts;
  for (const TensorCopy& copy : group) {
    entries.push_back({copy.name, copy.dtype, Shape(copy.from->shape)});
    parts.push_back({&copy, 0, copy.from->elements});
  }
  const PlannedFile plan = plan_safetensors(entries, {{"format", "pt"}}, kModelFileAlignment);
  stream_tensors(file, plan, parts, from, advance);
}

std::string index_text(const std::vector<Group>& groups, const std::vector<std::string>& names) {
  nlohmann::json map = nlohmann::json::object();
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    for (const TensorCopy& copy : groups[i]) {
      map[copy.name] = names[i];
      bytes += copy.bytes();
    }
  }
  return nlohmann::json{{"metadata", {{"total_size", bytes}}}, {"weight_map", map}}.dump(2) + "\n";
}

// Two forms beside each other would leave it to the reader which one counts.
void require_absent(FileSystem& files, const std::string& path) {
  require(!files.status(path),
          "save: {} is there already, from a copy in the other form (one file, or several with "
          "an index); remove it first",
          path);
}

void write_index(FileSystem& files, const std::string& path, const std::string& text) {
  NewFile index(files, path);
  index.content().write(0, std::as_bytes(std::span(text)));
  index.finish();
}

}  // namespace

std::vector<std::string> write_model_files(FileSystem& files, SavedTensors& from, Group copies, const std::string& path,
                                           std::uint64_t file_bytes_max, const Advance& advance) {
  require_usage(path.ends_with(kModelSuffix), "save {}: a name that ends in '{}' expected", path, kModelSuffix);
  require_distinct(copies);
  const std::string stem = path.substr(0, path.size() - kModelSuffix.size());
  const std::string index = path + ".index.json";
  const std::vector<Group> groups = group_by_bytes(copies, file_bytes_max);
  std::vector<std::string> paths;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    paths.push_back(groups.size() == 1 ? path
                                       : fmt::format("{}-{:05}-of-{:05}{}", stem, i + 1, groups.size(), kModelSuffix));
    names.push_back(paths.back().substr(paths.back().rfind('/') + 1));
  }
  require_absent(files, groups.size() == 1 ? index : path);
  make_directories(files, parent_path(path));
  for (std::size_t i = 0; i < groups.size(); ++i) {
    NewFile file(files, paths[i]);
    stream_model(file.content(), groups[i], from, advance);
    file.finish();
  }
  if (groups.size() > 1) {
    write_index(files, index, index_text(groups, names));
    paths.insert(paths.begin(), index);
  }
  files.sync_directory(parent_path(path));
  return paths;
}

}  // namespace trireme::checkpoint
