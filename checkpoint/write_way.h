// WriteWay: whether a rank's shards are written past the page cache (direct I/O) or through it, by what was faster on
// this disk in this run. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>

namespace trireme::checkpoint {

// Only files that are overwritten are compared, each way once; new ones, whose speed is mostly that of finding blocks,
// go the direct way. Through the cache must be a quarter faster to be chosen, because it takes processor time and
// memory from training. Where direct I/O is refused, writing falls back by itself, and both ways are the same one.
class WriteWay {
 public:
  // Below that a file is one write of either kind.
  static constexpr std::uint64_t kDirectBytesMin = std::uint64_t{1} << 20;

  bool direct(std::uint64_t bytes, bool overwrites) const {
    if (bytes < kDirectBytesMin) {
      return false;
    }
    return !overwrites || seconds_[kDirect] == 0 || (seconds_[kCached] > 0 && !cached_is_faster());
  }
  // How long a file took that was written as direct() said.
  void took(std::uint64_t bytes, bool overwrites, std::chrono::duration<double> time) {
    if (bytes >= kDirectBytesMin && overwrites) {
      double& seconds = seconds_[direct(bytes, overwrites) ? kDirect : kCached];
      seconds = seconds == 0 ? std::max(time.count(), 1e-9) / static_cast<double>(bytes) : seconds;
    }
  }

 private:
  static constexpr std::size_t kDirect = 0;
  static constexpr std::size_t kCached = 1;
  bool cached_is_faster() const { return seconds_[kCached] * 1.25 < seconds_[kDirect]; }

  std::array<double, 2> seconds_{};  // a byte; 0: not tried yet
};

}  // namespace trireme::checkpoint
