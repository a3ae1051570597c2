#include "trireme/checkpoint/sharding_info.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr const char* kInfoKey = "DCP_SHARDING_INFO";
constexpr const char* kOffsetsKey = "saved_offsets";
constexpr int kDepthMax = 3;  // { name: { saved_offsets: [ numbers ] } }

// What lies deeper than the format goes is dropped while parsing, so nesting costs no memory.
Json parse_bounded(const std::string& text, const std::string& path) {
  const auto keep = [](int depth, Json::parse_event_t, Json&) { return depth <= kDepthMax; };
  Json info = Json::parse(text, keep, /*allow_exceptions=*/false);
  require(info.is_object(), "{}: the metadata {} is no JSON object; the file is damaged", path, kInfoKey);
  return info;
}

std::vector<std::int64_t> begin_of(const Json& info, const TensorEntry& tensor, const std::string& path) {
  const auto found = info.find(tensor.name);
  require(found != info.end() && found->is_object() && found->contains(kOffsetsKey) &&
              (*found)[kOffsetsKey].is_array() && (*found)[kOffsetsKey].size() == tensor.shape.size(),
          "{}: {} has no offsets for '{}' ({} dims); the file is damaged", path, kInfoKey, tensor.name,
          tensor.shape.size());
  const Json& offsets = (*found)[kOffsetsKey];
  std::vector<std::int64_t> begins;
  for (std::size_t dim = 0; dim < offsets.size(); ++dim) {
    require(offsets[dim].is_number_unsigned(), "{}: {} of '{}' holds something else than numbers; the file is damaged",
            path, kInfoKey, tensor.name);
    const auto begin = offsets[dim].get<std::uint64_t>();
    constexpr auto kIndexMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    require(begin <= kIndexMax - static_cast<std::uint64_t>(tensor.shape[dim]),
            "{}: impossible offset {} of '{}'; the file is damaged", path, begin, tensor.name);
    begins.push_back(static_cast<std::int64_t>(begin));
  }
  return begins;
}

}  // namespace

Metadata sharding_metadata(std::span<const SavedOffset> offsets) {
  Json info = Json::object();
  for (const SavedOffset& offset : offsets) {
    Json list = Json::array();
    for (int dim = 0; dim < offset.dims; ++dim) {
      list.push_back(dim == 0 ? offset.row_begin : 0);
    }
    info[offset.name][kOffsetsKey] = std::move(list);
  }
  std::string text;
  try {
    text = info.dump();
  } catch (const Json::exception&) {
    fail("checkpoint: a tensor's name is not valid UTF-8; rename it");
  }
  return {{kInfoKey, std::move(text)}, {"DCP_VERSION", "1.0"}, {"format", "pt"}};
}

std::map<std::string, std::vector<std::int64_t>> parse_sharding_info(const SafetensorsHeader& header,
                                                                     const std::string& path) {
  std::map<std::string, std::vector<std::int64_t>> begins;
  const auto text = header.metadata.find(kInfoKey);
  const Json info = text == header.metadata.end() ? Json() : parse_bounded(text->second, path);
  for (const TensorEntry& tensor : header.tensors) {
    begins[tensor.name] =
        info.is_null() ? std::vector<std::int64_t>(tensor.shape.size(), 0) : begin_of(info, tensor, path);
  }
  return begins;
}

}  // namespace trireme::checkpoint
