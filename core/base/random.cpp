#include "trireme/core/base/random.h"

#include <xxhash.h>

#include <bit>
#include <utility>

#include "trireme/core/base/error.h"

namespace trireme {
namespace {

constexpr std::uint32_t kMultiplier0 = 0xD2511F53u;
constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57u;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9u;
constexpr std::uint32_t kWeyl1 = 0xBB67AE85u;

std::uint64_t word(const PhiloxBlock& block, unsigned half) {
  return static_cast<std::uint64_t>(block[2 * half]) << 32 | block[2 * half + 1];
}

std::uint64_t mask_of(int bits) { return (std::uint64_t{1} << bits) - 1; }

// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): every input bit changes every output bit.
std::uint64_t mix(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
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

std::uint64_t RandomStream::below(std::uint64_t index, std::uint64_t bound) const {
  require(bound > 0, "RandomStream::below: bound 0 given, a positive one expected");
  // Multiply-shift; the bias is below bound / 2^64.
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(bits(index)) * bound >> 64);
}

Permutation::Permutation(const RandomStream& stream, std::uint64_t count) : count_(count) {
  require(count > 0, "Permutation: 0 items given, at least 1 expected");
  const int bits = std::bit_width(count - 1);
  left_bits_ = bits / 2;
  right_bits_ = bits - left_bits_;
  for (std::size_t round = 0; round < keys_.size(); ++round) {
    keys_[round] = stream.bits(round);
  }
}

std::uint64_t Permutation::operator()(std::uint64_t position) const {
  require(position < count_, "Permutation: position {} given, below {} expected", position, count_);
  std::uint64_t value = position;
  do {  // cycle walking: a value outside the range is permuted again
    std::uint64_t left = value >> right_bits_;
    std::uint64_t right = value & mask_of(right_bits_);
    int left_bits = left_bits_;
    int right_bits = right_bits_;
    for (const std::uint64_t key : keys_) {
      const std::uint64_t next = left ^ (mix(right ^ key) & mask_of(left_bits));
      left = right;
      right = next;
      std::swap(left_bits, right_bits);
    }
    value = left << right_bits_ | right;  // after an even number of rounds the halves have their widths again
  } while (value >= count_);
  return value;
}

}  // namespace trireme
