// all_reduce over Gloo between processes of this machine: the canonical one of comm/message beside Gloo's own ring, on
// the same network device, turn by turn in one run.
//
//   bench_gloo [--ranks N] [--sizes 1K,16K,...] [--turns T] [--json FILE]
//
// Beside the times stands what the calls cost in processor time, all threads of rank 0: on a busy machine it says more.
#include "trireme/comm/gloo/gloo.h"

#include <gloo/allreduce.h>
#include <gloo/math.h>
#include <gloo/rendezvous/context.h>
#include <gloo/rendezvous/file_store.h>
#include <gloo/transport/tcp/device.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <fstream>

#include "benchmarks/measure-inl.h"
#include "benchmarks/ranks-inl.h"
#include "trireme/comm/store/file_store.h"
#include "trireme/launcher/collective_rows.h"

namespace {

using namespace trireme;
using bench::median;
using bench::now;

struct Options {
  int ranks = 2;
  std::vector<std::string> sizes = bench::kArraySizes;
  int turns = 15;
  std::string json;
};

// Of all threads of this process.
double processor_time() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::shared_ptr<gloo::Context> connect_plainly(int rank, int size, const std::string& directory) {
  std::shared_ptr<gloo::transport::Device> device = gloo::transport::tcp::CreateDevice("127.0.0.1");
  std::filesystem::create_directories(directory);
  gloo::rendezvous::FileStore store(directory);
  auto context = std::make_shared<gloo::rendezvous::Context>(rank, size);
  context->setTimeout(std::chrono::seconds(60));
  context->connectFullMesh(store, device);
  return context;
}

struct Cost {
  double seconds;
  double processor;
};
struct Times {
  std::vector<double> seconds;
  std::vector<double> processor;
};

class Bench {
 public:
  Bench(const Options& options, int rank, const std::string& directory)
      : options_(options),
        rank_(rank),
        plain_(connect_plainly(rank, options.ranks, directory + "/plain")),
        ours_(comm::connect_gloo(rank, options.ranks, std::make_shared<comm::FileStore>(directory + "/store"))) {}

  void run() {
    std::ofstream json(rank_ == 0 && !options_.json.empty() ? options_.json : "/dev/null");
    if (rank_ == 0) {
      std::printf(
          "# %d ranks, f32 sum; medians of %d turns; ratio: time of ours over Gloo's ring (less than 1 is faster)\n",
          options_.ranks, options_.turns);
      std::printf("%8s %12s %12s %8s %10s %12s %12s %8s\n", "size", "ours us", "ring us", "ratio", "busbw GB/s",
                  "ours cpu us", "ring cpu us", "errors");
    }
    for (const std::string& size : options_.sizes) {
      measure(size, json);
    }
  }

 private:
  void measure(const std::string& size, std::ostream& json) {
    const std::size_t count =
        std::max<std::size_t>(1, static_cast<std::size_t>(launcher::parse_bytes("--sizes", size)) / sizeof(float));
    const Array array = Array::zeros({static_cast<std::int64_t>(count)});
    std::vector<float> other(count);
    const auto ours = [&] { ours_->all_reduce(array).wait(); };
    const auto ring = [&] {
      gloo::AllreduceOptions ring_options(plain_);
      ring_options.setOutput(other.data(), count);
      ring_options.setAlgorithm(gloo::AllreduceOptions::Algorithm::RING);
      ring_options.setReduceFunction(
          static_cast<void (*)(void*, const void*, const void*, std::size_t)>(&gloo::sum<float>));
      gloo::allreduce(ring_options);
    };
    const std::size_t wrong = check(array);
    array.fill(0);
    const double estimate = slowest(timed(ring, 2).seconds);
    const int calls = static_cast<int>(std::clamp(0.03 / estimate, 1.0, 1000.0));
    Times mine;
    Times rings;
    std::vector<double> ratios;
    for (int turn = 0; turn < options_.turns; ++turn) {
      for (const bool is_ours : {turn % 2 == 0, turn % 2 != 0}) {
        const Cost cost = is_ours ? timed(ours, calls) : timed(ring, calls);
        Times& times = is_ours ? mine : rings;
        times.seconds.push_back(slowest(cost.seconds));
        times.processor.push_back(cost.processor);
      }
      ratios.push_back(mine.seconds.back() / rings.seconds.back());
    }
    report(size, count * sizeof(float), mine, rings, median(ratios), wrong, json);
  }

  void report(const std::string& size, std::size_t bytes, const Times& mine, const Times& rings, double ratio,
              std::size_t wrong, std::ostream& json) const {
    if (rank_ != 0) {
      return;
    }
    const double time = median(mine.seconds);
    const double ring_time = median(rings.seconds);
    const double bus = static_cast<double>(bytes) / time / 1e9 * 2 * (options_.ranks - 1) / options_.ranks;
    std::printf("%8s %12.1f %12.1f %8.2f %10.3f %12.1f %12.1f %8zu\n", size.c_str(), time * 1e6, ring_time * 1e6, ratio,
                bus, median(mine.processor) * 1e6, median(rings.processor) * 1e6, wrong);
    std::fflush(stdout);
    json << fmt::format("{{\"ranks\":{},\"bytes\":{},\"us\":{},\"ring_us\":{},\"ratio\":{},\"wrong\":{}}}\n",
                        options_.ranks, bytes, time * 1e6, ring_time * 1e6, ratio, wrong);
  }

  std::size_t check(const Array& array) {
    array.fill(rank_ + 1);
    ours_->all_reduce(array).wait();
    const auto expected = static_cast<float>(options_.ranks * (options_.ranks + 1) / 2);
    return static_cast<std::size_t>(std::count_if(array.data<float>(), array.data<float>() + array.count(),
                                                  [&](float value) { return value != expected; }));
  }

  // Of one call.
  template <class Call>
  Cost timed(Call call, int calls) {
    ours_->barrier().wait();
    call();
    const double processor = processor_time();
    const double begin = now();
    for (int i = 0; i < calls; ++i) {
      call();
    }
    return {(now() - begin) / calls, (processor_time() - processor) / calls};
  }

  double slowest(double time) {
    const Array value = Array::full({1}, time, DType::f64);
    ours_->all_reduce(value, comm::ReduceOp::max).wait();
    return *value.data<double>();
  }

  const Options& options_;
  const int rank_;
  const std::shared_ptr<gloo::Context> plain_;
  const std::shared_ptr<comm::Communicator> ours_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("all_reduce over Gloo, against Gloo's own ring in the same run");
  app.add_option("--ranks", options.ranks, "Processes")->check(CLI::Range(2, 64))->capture_default_str();
  app.add_option("--sizes", options.sizes, "Bytes of the array: 1K,64M,...")->delimiter(',')->capture_default_str();
  app.add_option("--turns", options.turns, "Turns of both; their medians are printed")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--json", options.json, "Also write JSON lines to this file");
  CLI11_PARSE(app, argc, argv);
  return bench::fork_ranks("bench_gloo", options.ranks, [&](int rank, const std::string& directory) {
    Bench(options, rank, directory).run();
    return 0;
  });
}
