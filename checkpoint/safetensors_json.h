// The JSON text of a safetensors header, taken apart without trusting it. Internal to checkpoint/.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trireme::checkpoint {

struct JsonTensor {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};
struct JsonHeader {
  std::vector<JsonTensor> tensors;  // in the order of the text
  std::map<std::string, std::string> metadata;
};

// Streams through the text: anything but the few tokens that a header has is refused where it stands, so neither deep
// nesting nor long lists are ever built. Raises Error naming `path`.
JsonHeader parse_header_json(std::string_view json, const std::string& path);

// Bytes of one element of a dtype that the format knows (whole bytes only).
std::optional<std::uint64_t> element_bytes_of(std::string_view dtype);

}  // namespace trireme::checkpoint
