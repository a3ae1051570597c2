// all_reduce over Open MPI, in the canonical order, against MPI's own MPI_Allreduce (in place, like ours), turn by turn
// in the same processes. Started by mpirun:
//
//   mpirun -np 2 bench_mpi [--sizes 1K,64K,...] [--reps R]
//
// Only the call is timed, after a barrier, and the slowest rank counts. Ratios above 1: ours is slower.
#include "trireme/comm/mpi/mpi.h"

#include <dlfcn.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "benchmarks/measure-inl.h"
#include "benchmarks/ranks-inl.h"
#include "trireme/comm/mpi/library-inl.h"
#include "trireme/core/base/error.h"
#include "trireme/launcher/collective_rows.h"

namespace {

using namespace trireme;
using bench::median;
using bench::now;

struct Options {
  std::vector<std::string> sizes = bench::kArraySizes;
  int reps = 7;
};

class Bench {
 public:
  Bench(comm::Communicator& comm, const Options& options) : comm_(comm), options_(options), mpi_(comm::load_mpi("")) {
    find(barrier_, "MPI_Barrier");
    find(all_reduce_, "MPI_Allreduce");
  }

  void run() {
    if (comm_.rank() == 0) {
      std::printf("# %d ranks, f32 sum; medians of %d repetitions\n%8s %12s %12s %12s %8s %8s\n", comm_.size(),
                  options_.reps, "size", "ours us", "fast us", "MPI us", "ours/MPI", "errors");
    }
    for (const std::string& size : options_.sizes) {
      measure(size);
    }
  }

 private:
  template <class Pointer>
  void find(Pointer& target, const char* name) {
    target = reinterpret_cast<Pointer>(dlsym(RTLD_DEFAULT, name));
    require(target != nullptr, "bench_mpi: libmpi has no {}", name);
  }

  template <class Call>
  double timed(const Array& array, Call call) {
    array.fill(comm_.rank() + 1);
    barrier_(mpi_.world);
    const double begin = now();
    call();
    return now() - begin;
  }

  double slowest(double time) {
    const Array array = Array::full({1}, time, DType::f64);
    comm_.all_reduce(array, comm::ReduceOp::max).wait();
    return array.data<double>()[0];
  }

  void measure(const std::string& size) {
    const std::size_t count = static_cast<std::size_t>(launcher::parse_bytes("--sizes", size)) / sizeof(float);
    const Array array = Array::empty({static_cast<std::int64_t>(count)});
    const int rounds = static_cast<int>(std::clamp(0.1 / (static_cast<double>(count) * 4 / 1e9 + 5e-6), 3.0, 2000.0));
    const auto by_mpi = [&] {
      all_reduce_(MPI_IN_PLACE, array.bytes_data(), static_cast<int>(count), mpi_.float32, mpi_.sum, mpi_.world);
    };
    const auto by_us = [&] { comm_.all_reduce(array).wait(); };
    const auto fast = [&] { comm_.all_reduce(array, comm::ReduceOp::sum, {.order = comm::ReduceOrder::fast}).wait(); };
    std::vector<double> times[3];
    std::vector<double> ratios;
    for (int rep = 0; rep < options_.reps + 1; ++rep) {
      std::vector<double> calls[3];
      for (int round = 0; round < rounds; ++round) {
        calls[0].push_back(timed(array, by_us));
        calls[1].push_back(timed(array, fast));
        calls[2].push_back(timed(array, by_mpi));
      }
      if (rep > 0) {  // the first one warms up
        for (int i = 0; i < 3; ++i) {
          times[i].push_back(slowest(median(calls[i])));
        }
        ratios.push_back(times[0].back() / times[2].back());
      }
    }
    timed(array, by_us);
    const float expected = static_cast<float>(comm_.size() * (comm_.size() + 1) / 2);
    const float* const data = array.data<float>();
    const auto errors = std::count_if(data, data + count, [&](float x) { return x != expected; });
    if (comm_.rank() == 0) {
      std::printf("%8s %12.1f %12.1f %12.1f %8.2f %8ld\n", size.c_str(), median(times[0]) * 1e6, median(times[1]) * 1e6,
                  median(times[2]) * 1e6, median(ratios), static_cast<long>(errors));
      std::fflush(stdout);
    }
  }

  comm::Communicator& comm_;
  const Options& options_;
  const comm::Mpi& mpi_;
  decltype(&MPI_Barrier) barrier_ = nullptr;
  decltype(&MPI_Allreduce) all_reduce_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("all_reduce over Open MPI against MPI_Allreduce; start it with mpirun");
  app.add_option("--sizes", options.sizes, "Bytes of the array: 1K,64M,...")->delimiter(',')->capture_default_str();
  app.add_option("--reps", options.reps, "Repetitions; their median is printed")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    Bench(*comm::connect_mpi(), options).run();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_mpi: %s\n", error.what());
    return 1;
  }
}
