// Damaged safetensors headers: either a parsed header whose tensors lie inside the file, or an Error.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "trireme/checkpoint/safetensors.h"
#include "trireme/core/base/error.h"

using namespace trireme;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kPrefix = 8;
  if (size < kPrefix) {
    return 0;
  }
  try {
    std::byte prefix[kPrefix];
    std::memcpy(prefix, data, kPrefix);
    const std::uint64_t length = checkpoint::parse_safetensors_length(prefix, size, "fuzz");
    const std::string_view json(reinterpret_cast<const char*>(data) + kPrefix, length);
    for (const auto& tensor : checkpoint::parse_safetensors_header(json, size, "fuzz").tensors) {
      if (tensor.begin > tensor.end || kPrefix + length + tensor.end > size) {
        std::abort();
      }
    }
  } catch (const Error&) {
  }
  // The text alone, as if the length before it had been right.
  try {
    const std::string_view json(reinterpret_cast<const char*>(data), size);
    checkpoint::parse_safetensors_header(json, size + kPrefix + (std::uint64_t{1} << 20), "fuzz");
  } catch (const Error&) {
  }
  return 0;
}
