// Dense push-pull between a worker and a parameter server of this machine: shared memory beside the memory-copy limit,
// gRPC over loopback beside a bare gRPC stream, turn by turn in one run; and round trips of small parcels.
//
//   bench_wire [--bytes 64M] [--arrays 256K,1M,4M,64M] [--turns T] [--json FILE]
//
// A push-pull sends --bytes in arrays of one size, and gets as many back. The memory-copy limit is what one thread's
// memcpy() takes for as many bytes there and back: one copy in each direction and nothing else.
#include "trireme/strategies/parameter_server/wire/wire.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>

#include "benchmarks/bare_stream-inl.h"
#include "benchmarks/measure-inl.h"
#include "benchmarks/ranks-inl.h"
#include "trireme/comm/store/file_store.h"
#include "trireme/launcher/collective_rows.h"

namespace {

using namespace trireme;
using namespace trireme::strategies::parameter_server;
using bench::median;
using bench::seconds_of;

struct Options {
  std::string bytes = "64M";
  std::vector<std::string> arrays = {"256K", "1M", "4M", "64M"};
  int turns = 15;
  int round_trips = 3000;
  std::string json;
};

constexpr Node kWorker{Role::worker, 0};
constexpr Node kServer{Role::server, 0};

Endpoint::TimePoint soon() { return std::chrono::steady_clock::now() + std::chrono::seconds(60); }

std::size_t parse(const std::string& option, const std::string& text) {
  return static_cast<std::size_t>(launcher::parse_bytes(option, text));
}

void push(Endpoint& wire, Node to, const Array& whole, std::int64_t each) {
  for (std::int64_t at = 0; at < whole.count(); at += each) {
    wire.send(to, {"values", {whole.narrow(0, at, std::min(each, whole.count() - at))}}, soon());
  }
}

Endpoint::Event next(Endpoint& wire) {
  Endpoint::Event event = wire.receive(soon());
  require(event.kind != Endpoint::Event::Kind::nothing, "bench_wire: nothing came within a minute");
  return event;
}

// Until the worker leaves: "pull COUNT" is answered with all values in arrays of COUNT elements, "echo" with itself,
// the rest is taken in.
void serve(Endpoint& wire, const Array& values) {
  for (Endpoint::Event event = next(wire); event.kind == Endpoint::Event::Kind::parcel; event = next(wire)) {
    if (event.parcel.header.starts_with("pull ")) {
      push(wire, event.from, values, std::stoll(event.parcel.header.substr(5)));
    } else if (event.parcel.header == "echo") {
      wire.send(event.from, std::move(event.parcel), soon());
    }
  }
}

class Bench {
 public:
  Bench(const Options& options, int rank, std::string directory)
      : options_(options),
        rank_(rank),
        directory_(std::move(directory)),
        bytes_(parse("--bytes", options.bytes)),
        values_(Array::full({static_cast<std::int64_t>(bytes_ / sizeof(float))}, 1)),
        others_(Array::full(values_.shape(), 2)),
        json_(rank_ == 0 && !options.json.empty() ? options.json : "/dev/null") {}

  void run() {
    if (rank_ == 0) {
      std::printf("# %zu bytes there and back; medians of %d turns\n", bytes_, options_.turns);
      std::printf("%-14s %8s %10s %10s %12s %8s\n", "carrier", "arrays", "ms", "GB/s", "limit GB/s", "percent");
    }
    const auto copy = [&] {
      std::memcpy(others_.bytes_data(), values_.bytes_data(), bytes_);
      std::memcpy(values_.bytes_data(), others_.bytes_data(), bytes_);
    };
    over("shm", copy);
    comm::FileStore store(directory_ + "/bare");
    if (rank_ == 1) {
      const bench::BareServer bare(bytes_);
      store.set("port", std::to_string(bare.port()));
      over("grpc", [] {});
    } else {
      bench::BareClient bare(std::stoi(store.get("port", std::chrono::seconds(60))), bytes_);
      over("grpc", [&] { bare.push_pull(); });
    }
  }

 private:
  template <class Limit>
  void over(const std::string& carrier, const Limit& limit) {
    const auto wire = open_wire({.self = rank_ == 0 ? kWorker : kServer,
                                 .workers = 1,
                                 .servers = 1,
                                 .store = std::make_shared<comm::FileStore>(directory_ + "/" + carrier),
                                 .carrier = carrier,
                                 .interface = "lo"});
    if (rank_ == 1) {
      serve(*wire, values_);
      return;
    }
    for (const std::string& size : options_.arrays) {
      const auto each = static_cast<std::int64_t>(parse("--arrays", size) / sizeof(float));
      compare(
          carrier, size, [&] { push_pull(*wire, each); }, limit);
    }
    round_trips(carrier, *wire);
  }

  void push_pull(Endpoint& wire, std::int64_t each) {
    push(wire, kServer, values_, each);
    wire.send(kServer, {"pull " + std::to_string(each), {}}, soon());
    for (std::int64_t got = 0; got < values_.count();) {
      const Endpoint::Event event = next(wire);
      require(event.kind == Endpoint::Event::Kind::parcel, "bench_wire: {}", event.why);
      got += event.parcel.arrays.at(0).count();
    }
  }

  template <class Ours, class Limit>
  void compare(const std::string& carrier, const std::string& size, const Ours& ours, const Limit& limit) {
    std::vector<double> own;
    std::vector<double> other;
    ours();
    limit();
    for (int turn = 0; turn < options_.turns; ++turn) {
      own.push_back(seconds_of(ours));
      other.push_back(seconds_of(limit));
    }
    const double rate = 2 * static_cast<double>(bytes_) / median(own) / 1e9;
    const double most = 2 * static_cast<double>(bytes_) / median(other) / 1e9;
    std::printf("%-14s %8s %10.2f %10.2f %12.2f %8.0f\n", carrier.c_str(), size.c_str(), median(own) * 1e3, rate, most,
                100 * rate / most);
    std::fflush(stdout);
    json_ << fmt::format("{{\"carrier\":\"{}\",\"arrays\":\"{}\",\"gb_per_s\":{},\"limit_gb_per_s\":{}}}\n", carrier,
                         size, rate, most);
  }

  void round_trips(const std::string& carrier, Endpoint& wire) {
    const Array row = Array::zeros({64});
    std::vector<double> times;
    for (int i = 0; i < options_.round_trips; ++i) {
      times.push_back(seconds_of([&] {
        wire.send(kServer, {"echo", {row}}, soon());
        next(wire);
      }));
    }
    std::sort(times.begin(), times.end());
    const double p99 = times[times.size() * 99 / 100];
    std::printf("%-14s round trip of 64 floats: median %.1f us, 99 %% within %.1f us\n", carrier.c_str(),
                median(times) * 1e6, p99 * 1e6);
    json_ << fmt::format("{{\"carrier\":\"{}\",\"round_trip_us\":{},\"p99_us\":{}}}\n", carrier, median(times) * 1e6,
                         p99 * 1e6);
  }

  const Options& options_;
  const int rank_;
  const std::string directory_;
  const std::size_t bytes_;
  const Array values_;
  const Array others_;
  std::ofstream json_;
};

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Push-pull between a worker and a parameter server: shared memory and gRPC, against their limits");
  app.add_option("--bytes", options.bytes, "Moved in each direction")->capture_default_str();
  app.add_option("--arrays", options.arrays, "Sizes of the arrays")->delimiter(',')->capture_default_str();
  app.add_option("--turns", options.turns, "Turns of both sides; medians are printed")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--round-trips", options.round_trips, "Of small parcels")
      ->check(CLI::Range(10, 1000000))
      ->capture_default_str();
  app.add_option("--json", options.json, "Also write JSON lines to this file");
  CLI11_PARSE(app, argc, argv);
  return bench::fork_ranks("bench_wire", 2, [&](int rank, const std::string& directory) {
    Bench(options, rank, directory).run();
    return 0;
  });
}
