// Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
//
// A number is a pure function of (key, counter), so any element of any parameter or dropout mask can be made on any
// rank at any time, in any order, with the same bits. Nothing here depends on rank, thread or time.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace trireme {

using PhiloxBlock = std::array<std::uint32_t, 4>;

// Ten rounds on the 128-bit counter under the 64-bit key.
PhiloxBlock philox(std::uint64_t key, std::uint64_t counter_low, std::uint64_t counter_high);

// A stream of numbers indexed by element; two streams with different (seed, purpose) are independent.
class RandomStream {
 public:
  // `purpose` says what the numbers are for: a parameter's name, "dropout transformer.h.0 2", "sampler epoch 3".
  RandomStream(std::uint64_t seed, std::string_view purpose);
  RandomStream(std::uint64_t seed, std::string_view purpose, std::uint64_t step, std::uint64_t lane);

  std::uint64_t bits(std::uint64_t index) const;                        // 64 random bits
  double uniform(std::uint64_t index) const;                            // in [0, 1), 53 bits
  std::uint64_t below(std::uint64_t index, std::uint64_t bound) const;  // in [0, bound), bound > 0

  // Elements [first, first + out.size()) of an endless row of floats: uniform in [0, 1) with 24 bits, or normal with
  // mean 0 and standard deviation 1. Vectorised (random_fill.cpp); an element has the same bits in every slice.
  void fill_uniform(std::uint64_t first, std::span<float> out) const;
  void fill_normal(std::uint64_t first, std::span<float> out) const;

  // Key and upper half of the counter, for kernels that make many blocks at once; the lower half is theirs.
  std::uint64_t key() const { return key_; }
  std::uint64_t stream() const { return stream_; }

 private:
  std::uint64_t key_;
  std::uint64_t stream_;
};

// A bijection of [0, count): position -> item, a pure function of the stream, in O(1) memory and a few nanoseconds (a
// Feistel network of eight rounds whose keys are drawn from the stream, walked until it lands inside the range).
class Permutation {
 public:
  // REQUIRES: count > 0.
  Permutation(const RandomStream& stream, std::uint64_t count);

  // REQUIRES: position < count.
  std::uint64_t operator()(std::uint64_t position) const;

 private:
  static constexpr int kRounds = 8;

  std::uint64_t count_;
  int left_bits_;  // the network permutes left_bits_ + right_bits_ bits, fewer than 2 * count values
  int right_bits_;
  std::array<std::uint64_t, kRounds> keys_;
};

}  // namespace trireme
