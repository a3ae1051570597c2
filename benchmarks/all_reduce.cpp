// all_reduce between processes of this machine, as an nccl-tests style table, beside what the machine itself allows: a
// direct reduction and a barrier with nothing around them, measured in the same run and the same processes.
//
//   bench_all_reduce [--ranks N] [--sizes 1K,16K,...] [--reps R] [--unallocated] [--json]
//
// (`trireme bench all_reduce` is for users: any collective and backend, results checked, no probe.)
// Every call gets freshly written arrays, as from a backward pass; only the call is timed, on the slowest rank.
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "benchmarks/measure-inl.h"
#include "benchmarks/ranks-inl.h"
#include "trireme/comm/shm/shm_communicator.h"
#include "trireme/comm/store/file_store.h"
#include "trireme/launcher/collective_rows.h"

namespace {

using namespace trireme;
using bench::median;
using bench::now;

constexpr int kMostRanks = 64;
constexpr std::size_t kStagger = 0x5b000;  // see comm/shm/segment.h

struct Options {
  int ranks = 2;
  std::vector<std::string> sizes = bench::kArraySizes;
  int reps = 5;
  bool unallocated = false;
  bool json = false;  // lines of JSON in place of the table
};

void pin(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<unsigned>(core), &set);
  sched_setaffinity(0, sizeof set, &set);
}

std::size_t parse_size(const std::string& text) {
  return static_cast<std::size_t>(launcher::parse_bytes("--sizes", text));
}

std::string print_size(std::size_t bytes) {
  return bytes % (1 << 20) == 0 ? std::to_string(bytes >> 20) + "M"
         : bytes % 1024 == 0    ? std::to_string(bytes >> 10) + "K"
                                : std::to_string(bytes);
}

// What the forked ranks share besides what the library makes: flags of the probe's barrier, and times.
struct Board {
  struct alignas(64) Flag {
    std::atomic<std::uint32_t> value{0};
  };
  Flag arrived[kMostRanks];
  double time[kMostRanks];
};

// The least that a barrier can be: everyone raises a flag and spins on all others.
class SpinBarrier {
 public:
  SpinBarrier(Board* board, int rank, int size) : board_(board), rank_(rank), size_(size) {}
  void operator()() {
    ++turn_;
    board_->arrived[rank_].value.store(turn_, std::memory_order_release);
    for (int peer = 0; peer < size_; ++peer) {
      while (board_->arrived[peer].value.load(std::memory_order_acquire) < turn_) {
        if (size_ > cores_) {  // whom we wait for may need this core
          sched_yield();
        }
        __builtin_ia32_pause();
      }
    }
  }

 private:
  Board* board_;
  int rank_;
  int size_;
  int cores_ = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  std::uint32_t turn_ = 0;
};

// A direct reduction with nothing around it: each rank reduces its slice and writes it to all buffers.
__attribute__((target("avx2"))) void reduce_slice(const std::vector<float*>& buffers, std::size_t begin,
                                                  std::size_t end) {
  typedef float Vector __attribute__((vector_size(32), aligned(4), may_alias));
  constexpr std::size_t kLine = 16;  // a whole cache line of every stream at a time
  for (std::size_t i = begin; i < end; i += kLine) {
    Vector low = *reinterpret_cast<Vector*>(buffers[0] + i);
    Vector high = *reinterpret_cast<Vector*>(buffers[0] + i + 8);
    for (std::size_t r = 1; r < buffers.size(); ++r) {
      low += *reinterpret_cast<Vector*>(buffers[r] + i);
      high += *reinterpret_cast<Vector*>(buffers[r] + i + 8);
    }
    for (float* buffer : buffers) {
      *reinterpret_cast<Vector*>(buffer + i) = low;
      *reinterpret_cast<Vector*>(buffer + i + 8) = high;
    }
  }
}

struct Bench {
  const Options& options;
  Board* board;
  std::byte* probe_memory;
  std::size_t probe_stride;
  int rank;
  comm::Communicator& comm;
  SpinBarrier barrier;

  void write(float* array, std::size_t count, int turn) const {
    const float value = static_cast<float>(turn % 1000 + rank);
    for (std::size_t i = 0; i < count; ++i) {
      array[i] = value;
    }
  }

  // The median time of a call on the slowest rank, in seconds; of several repetitions the median.
  template <class Call>
  double timed(float* array, std::size_t count, Call call) {
    const int rounds = static_cast<int>(std::clamp(0.15 / (static_cast<double>(count) * 4 / 2e9 + 1e-6), 5.0, 20000.0));
    std::vector<double> times;
    std::vector<double> calls;
    calls.reserve(static_cast<std::size_t>(rounds));
    for (int rep = 0; rep < options.reps + 1; ++rep) {
      calls.clear();
      for (int round = 0; round < rounds; ++round) {
        write(array, count, round);
        barrier();
        const double begin = now();
        call();
        calls.push_back(now() - begin);
      }
      board->time[rank] = median(calls);
      barrier();
      times.push_back(*std::max_element(board->time, board->time + options.ranks));
      barrier();
    }
    times.erase(times.begin());  // page faults and cold caches
    return median(times);
  }

  double probe(std::size_t count) {
    std::vector<float*> buffers;
    for (int peer = 0; peer < options.ranks; ++peer) {
      buffers.push_back(reinterpret_cast<float*>(probe_memory + static_cast<std::size_t>(peer) * probe_stride));
    }
    const std::size_t lines = (count + 15) / 16;
    const auto n = static_cast<std::size_t>(options.ranks);
    const auto r = static_cast<std::size_t>(rank);
    return timed(buffers[r], count, [&] {
      barrier();
      reduce_slice(buffers, lines * r / n * 16, lines * (r + 1) / n * 16);
      barrier();
    });
  }

  double library(std::size_t count, std::size_t& wrong) {
    const Shape shape{static_cast<std::int64_t>(count)};
    const Array array = options.unallocated ? Array::empty(shape) : comm.allocate(shape, DType::f32);
    float* const data = array.data<float>();
    const double time = timed(data, count, [&] { comm.all_reduce(array).wait(); });
    write(data, count, 7);
    comm.all_reduce(array).wait();
    float expected = 0;
    for (int peer = 0; peer < options.ranks; ++peer) {
      expected += static_cast<float>(7 + peer);
    }
    wrong = static_cast<std::size_t>(std::count_if(data, data + count, [&](float x) { return x != expected; }));
    return time;
  }

  double barrier_time(bool of_library) {
    constexpr int kCalls = 20000;
    std::vector<double> times;
    for (int rep = 0; rep < options.reps; ++rep) {
      barrier();
      const double begin = now();
      for (int i = 0; i < kCalls; ++i) {
        if (of_library) {
          comm.barrier().wait();
        } else {
          barrier();
        }
      }
      times.push_back((now() - begin) / kCalls);
    }
    return median(times);
  }

  // The number of wrong elements that this rank has seen.
  std::size_t run() {
    std::size_t all_wrong = 0;
    const double spin = barrier_time(false);
    const double waited = barrier_time(true);
    if (rank == 0 && !options.json) {
      std::printf("# %d ranks, f32 sum, %s arrays; barrier: probe %.3f us, library %.3f us\n", options.ranks,
                  options.unallocated ? "ordinary" : "allocated", spin * 1e6, waited * 1e6);
      std::printf("%8s %12s %10s %10s %8s %12s %8s\n", "size", "time us", "algbw GB/s", "busbw GB/s", "errors",
                  "probe us", "speed");
    }
    for (const std::string& text : options.sizes) {
      const std::size_t count = parse_size(text) / 4;
      std::size_t wrong = 0;
      const double direct = probe(count);
      const double time = library(count, wrong);
      all_wrong += wrong;
      if (rank == 0 && options.json) {
        std::printf("{\"bytes\":%zu,\"median_us\":%.3f,\"probe_us\":%.3f,\"wrong\":%zu}\n", count * 4, time * 1e6,
                    direct * 1e6, wrong);
      } else if (rank == 0) {
        const double bandwidth = static_cast<double>(count) * 4 / time / 1e9;
        const double bus = bandwidth * 2 * (options.ranks - 1) / options.ranks;
        std::printf("%8s %12.2f %10.2f %10.2f %8zu %12.2f %7.0f%%\n", print_size(count * 4).c_str(), time * 1e6,
                    bandwidth, bus, wrong, direct * 1e6, 100 * direct / time);
      }
      std::fflush(stdout);
    }
    return all_wrong;
  }
};

std::byte* map_shared(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<std::byte*>(memory);
}

int run_ranks(const Options& options) {
  std::size_t most = 0;
  for (const std::string& size : options.sizes) {
    most = std::max(most, parse_size(size));
  }
  const std::size_t stride = (most + (1 << 20)) / (1 << 20) * (1 << 20) + kStagger;
  auto* board = new (map_shared(sizeof(Board))) Board;
  std::byte* memory = map_shared(stride * static_cast<std::size_t>(options.ranks));
  if (memory == nullptr) {
    std::perror("bench_all_reduce");
    return 1;
  }
  return bench::fork_ranks("bench_all_reduce", options.ranks, [&](int rank, const std::string& directory) {
    pin(rank % static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
    comm::FileStore store(directory + "/store");
    const auto world = comm::shm::ShmCommunicator::connect(rank, options.ranks, store, std::chrono::seconds(60));
    Bench bench{options, board, memory, stride, rank, *world, SpinBarrier(board, rank, options.ranks)};
    return bench.run() == 0 ? 0 : 1;
  });
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("all_reduce over shared memory, against a direct reduction in the same run");
  app.add_option("--ranks", options.ranks, "Processes, each pinned to a core")
      ->check(CLI::Range(1, kMostRanks))
      ->capture_default_str();
  app.add_option("--sizes", options.sizes, "Bytes of the array: 1K,64M,...")->delimiter(',')->capture_default_str();
  app.add_option("--reps", options.reps, "Repetitions; their median is printed")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_flag("--unallocated", options.unallocated, "Ordinary arrays, which are copied through exchange buffers");
  app.add_flag("--json", options.json, "JSON lines in place of the table");
  CLI11_PARSE(app, argc, argv);
  try {
    return run_ranks(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
