#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "trireme/core/base/error.h"
#include "trireme/launcher/bench.h"
#include "trireme/launcher/stopwatch.h"

namespace trireme::launcher {
namespace {

constexpr std::size_t kTotalBytes = std::size_t{1} << 29;  // moved by each thread in one round

// Buffers of the threads, from one allocation, a page apart in their offsets: equal distances of 256 MiB between
// buffers cost several times more on some processors.
class Buffers {
 public:
  Buffers(int count, std::size_t bytes) : stride_(bytes + 0x5b000), memory_(static_cast<std::size_t>(count) * stride_) {
    std::memset(memory_.data(), 1, memory_.size());
  }
  char* operator[](int index) { return memory_.data() + static_cast<std::size_t>(index) * stride_; }

 private:
  std::size_t stride_;
  std::vector<char> memory_;
};

std::uint64_t sum_words(const char* bytes, std::size_t count) {
  std::uint64_t sums[8] = {};
  for (std::size_t i = 0; i + 64 <= count; i += 64) {
    for (std::size_t word = 0; word < 8; ++word) {
      std::uint64_t value = 0;
      std::memcpy(&value, bytes + i + word * 8, 8);
      sums[word] += value;
    }
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t part : sums) {
    sum += part;
  }
  return sum;
}

// `move(thread)` handles `bytes`; repeated until each thread has handled kTotalBytes.
double bandwidth(int threads, std::size_t bytes, const std::function<void(int)>& move) {
  const auto repeats = std::max<std::size_t>(1, kTotalBytes / bytes);
  double best = 0;
  for (int round = 0; round < 3; ++round) {
    const double seconds = seconds_together(threads, [&](int thread) {
      for (std::size_t i = 0; i < repeats; ++i) {
        move(thread);
      }
    });
    best = std::max(best, static_cast<double>(bytes * repeats) * threads / seconds);
  }
  return best;
}

}  // namespace

double copy_bandwidth(int threads, std::size_t bytes) {
  Buffers buffers(2 * threads, bytes);
  return bandwidth(threads, bytes,
                   [&](int thread) { std::memcpy(buffers[2 * thread], buffers[2 * thread + 1], bytes); });
}

double read_bandwidth(int threads, std::size_t bytes) {
  Buffers buffers(threads, bytes);
  std::vector<std::uint64_t> sums(static_cast<std::size_t>(threads) * 8);
  return bandwidth(threads, bytes, [&](int thread) {
    volatile std::uint64_t* const sum = &sums[static_cast<std::size_t>(thread) * 8];
    *sum = sum_words(buffers[thread], bytes);
  });
}

double page_fault_seconds(bool shared) {
  constexpr std::size_t kPages = 4096;
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return best_seconds(5,
                      [&] {
                        void* const memory = ::mmap(nullptr, kPages * page, PROT_READ | PROT_WRITE,
                                                    MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE), -1, 0);
                        require(memory != MAP_FAILED, "trireme bench: no memory for pages{}", errno_text(errno));
                        ::madvise(memory, kPages * page, MADV_NOHUGEPAGE);
                        for (std::size_t i = 0; i < kPages; ++i) {
                          static_cast<volatile char*>(memory)[i * page] = 1;
                        }
                        ::munmap(memory, kPages * page);
                      }) /
         kPages;
}

}  // namespace trireme::launcher
