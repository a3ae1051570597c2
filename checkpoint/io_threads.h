// More threads for parallel_for while files are read: one waits for the disk while another computes checksums.
#pragma once

#include <algorithm>
#include <cstdint>

#include "trireme/core/base/parallel.h"

namespace trireme::checkpoint {

// While it lives, the calling thread's parallel_for has some threads even if its computations have one. Not for little
// work: threads take longer to start than a few blocks to read.
class IoThreads {
 public:
  explicit IoThreads(std::uint64_t bytes) : before_(num_threads()) {
    if (bytes >= kBytesMin) {
      set_num_threads(std::max(before_, kThreads));
    }
  }
  ~IoThreads() {
    if (num_threads() != before_) {
      set_num_threads(before_);
    }
  }
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

 private:
  static constexpr std::uint64_t kBytesMin = std::uint64_t{16} << 20;
  static constexpr int kThreads = 4;
  int before_;
};

}  // namespace trireme::checkpoint
