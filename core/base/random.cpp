#include "trireme/core/base/random.h"

#include <xxhash.h>

#include <bit>
#include <cmath>
#include <numbers>

#include "trireme/core/base/error.h"

namespace trireme {
namespace {

constexpr std::uint32_t kMultiplier0 = 0xD2511F53u;
constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57u;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9u;
constexpr std::uint32_t kWeyl1 = 0xBB67AE85u;
constexpr int kFeistelRounds = 4;

std::uint64_t word(const PhiloxBlock& block, unsigned half) {
  return static_cast<std::uint64_t>(block[2 * half]) << 32 | block[2 * half + 1];
}

double to_unit(std::uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

}  // namespace

PhiloxBlock philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high) {
  PhiloxBlock c = {static_cast<std::uint32_t>(counter_low), static_cast<std::uint32_t>(counter_low >> 32),
                   static_cast<std::uint32_t>(counter_high), static_cast<std::uint32_t>(counter_high >> 32)};
  auto k0 = static_cast<std::uint32_t>(key);
  auto k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = static_cast<std::uint64_t>(kMultiplier0) * c[0];
    const std::uint64_t p1 = static_cast<std::uint64_t>(kMultiplier1) * c[2];
    c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<std::uint32_t>(p1),
         static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<std::uint32_t>(p0)};
    k0 += kWeyl0;
    k1 += kWeyl1;
  }
  return c;
}

RandomStream::RandomStream(std::uint64_t seed, std::string_view purpose)
    : key_(seed), stream_(XXH3_64bits_withSeed(purpose.data(), purpose.size(), seed)) {}

RandomStream::RandomStream(std::uint64_t seed, std::string_view purpose, std::uint64_t step, std::uint64_t lane)
    : key_(seed) {
  const std::uint64_t words[3] = {XXH3_64bits(purpose.data(), purpose.size()), step, lane};
  stream_ = XXH3_64bits_withSeed(words, sizeof(words), seed);
}

std::uint64_t RandomStream::bits(std::uint64_t index) const {
  return word(philox(key_, index / 2, stream_), static_cast<unsigned>(index % 2));
}

double RandomStream::uniform(std::uint64_t index) const { return to_unit(bits(index)); }

double RandomStream::normal(std::uint64_t index) const {
  const PhiloxBlock block = philox(key_, index, stream_ ^ 0x9E3779B97F4A7C15u);
  const double u = 1.0 - to_unit(word(block, 0));  // in (0, 1]: the logarithm is finite
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * to_unit(word(block, 1)));
}

std::uint64_t RandomStream::below(std::uint64_t index, std::uint64_t bound) const {
  require(bound > 0, "RandomStream::below: bound 0 given, a positive one expected");
  // Multiply-shift; the bias is below bound / 2^64.
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(bits(index)) * bound >> 64);
}

void RandomStream::fill_uniform(std::uint64_t first, std::span<float> out) const {
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::uint64_t index = first + i;
    const PhiloxBlock block = philox(key_, index / 4, stream_ ^ 0xD1B54A32D192ED03u);
    out[i] = static_cast<float>(block[index % 4] >> 8) * 0x1.0p-24f;
  }
}

void RandomStream::fill_normal(std::uint64_t first, std::span<float> out) const {
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(normal(first + i));
  }
}

std::uint64_t permute(const RandomStream& stream, std::uint64_t position, std::uint64_t count) {
  require(position < count, "permute: position {} given, below {} expected", position, count);
  const int half_bits = (std::bit_width(count - 1) + 1) / 2;
  if (half_bits == 0) {
    return 0;
  }
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  std::uint64_t value = position;
  do {  // cycle walking: the network permutes a power of four at most 4 * count large
    std::uint64_t left = value >> half_bits;
    std::uint64_t right = value & mask;
    for (int round = 0; round < kFeistelRounds; ++round) {
      const std::uint64_t mixed = stream.bits(static_cast<std::uint64_t>(round) << 32 | right);
      const std::uint64_t next = left ^ (mixed & mask);
      left = right;
      right = next;
    }
    value = left << half_bits | right;
  } while (value >= count);
  return value;
}

}  // namespace trireme
