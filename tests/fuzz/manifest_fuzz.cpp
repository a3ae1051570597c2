// Manifests and shard records: damaged frames, and damaged payloads in whole frames.
#include <cstdint>
#include <cstring>
#include <vector>

#include "trireme/checkpoint/manifest.h"
#include "trireme/core/base/error.h"
#include "trireme/core/base/hash.h"

using namespace trireme;

namespace {

// The frame of manifest.h around any payload, so that the fuzzer need not find the checksum.
std::vector<std::byte> framed(std::vector<std::byte> whole, const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kWord = 8;
  const std::uint64_t length = size;
  const std::uint64_t hash = xxh3({reinterpret_cast<const std::byte*>(data), size});
  whole.resize(3 * kWord + size);
  std::memcpy(whole.data() + kWord, &length, kWord);
  std::memcpy(whole.data() + 2 * kWord, &hash, kWord);
  std::memcpy(whole.data() + 3 * kWord, data, size);
  return whole;
}

template <class Decode>
void feed(std::span<const std::byte> bytes, Decode decode) {
  try {
    decode(bytes, "fuzz");
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::span<const std::byte> raw(reinterpret_cast<const std::byte*>(data), size);
  feed(raw, checkpoint::decode_manifest);
  feed(raw, checkpoint::decode_record);
  feed(framed(checkpoint::encode_manifest({}), data, size), checkpoint::decode_manifest);
  feed(framed(checkpoint::encode_record({}), data, size), checkpoint::decode_record);
  return 0;
}
