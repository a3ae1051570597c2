#include "trireme/checkpoint/model_files.h"

#include <nlohmann/json.hpp>

#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kIndexBytesMax = std::uint64_t{64} << 20;
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
    require(plain.ends_with(".safetensors") && plain.find('/') == std::string::npos &&
                plain.find('\0') == std::string::npos,
            "load {}: '{}' is said to be in '{}', which is no safetensors file beside the index", path, name, plain);
    map[name] = plain;
  }
  return map;
}

}  // namespace

ModelFiles::ModelFiles(FileSystem& files, const std::string& path) {
  if (!path.ends_with(".json")) {
    files_.push_back(std::make_unique<SafetensorsFile>(files, path));
    for (const TensorEntry& tensor : files_.front()->header().tensors) {
      entries_[tensor.name] = {files_.front().get(), &tensor};
    }
    return;
  }
  std::map<std::string, const SafetensorsFile*> opened;
  for (const auto& [name, file] : read_index(files, path)) {
    const SafetensorsFile*& slot = opened[file];
    if (slot == nullptr) {
      files_.push_back(std::make_unique<SafetensorsFile>(files, join_path(parent_path(path), file)));
      slot = files_.back().get();
    }
    const TensorEntry* tensor = slot->header().find(name);
    require(tensor != nullptr, "load {}: '{}' is said to be in {}, but is not; the files do not belong together", path,
            name, file);
    entries_[name] = {slot, tensor};
  }
}

}  // namespace trireme::checkpoint
