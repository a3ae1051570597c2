// How close one AdamW update of flat f32 slices comes to the limit of memory traffic: 28 bytes a parameter (value,
// gradient and two moments read; value and moments written). Two probes give the rate at which this machine moves
// bytes, measured in the same run on the same threads, interleaved, over memory as large as the update's: memcpy, and
// target += source, which like the update writes only what it has read. The limit is the faster one. Random data.
//
//   bench_optimizer [--parameters N] [--threads T] [--rounds R]
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "benchmarks/measure-inl.h"
#include "trireme/core/array/accumulate.h"
#include "trireme/core/base/parallel.h"
#include "trireme/core/nn/module.h"
#include "trireme/core/optim/adamw.h"

namespace {

using namespace trireme;
using bench::median;
using bench::seconds_of;

Array random_values(std::int64_t count, const char* name) {
  const Array out = Array::empty({count});
  nn::Init::normal(0, 0.02).fill(1, name, 0, out);
  return out;
}

// A copy in parallel tiles.
void copy(const Array& from, const Array& to) {
  parallel_for(static_cast<std::int64_t>(from.bytes()), 4 << 20, [&](std::int64_t begin, std::int64_t end) {
    std::memcpy(to.bytes_data() + begin, from.bytes_data() + begin, static_cast<std::size_t>(end - begin));
  });
}

}  // namespace

int main(int argc, char** argv) {
  std::int64_t parameters = 32 << 20;
  int threads = 1;
  int rounds = 15;
  CLI::App app("AdamW against the limit of memory traffic");
  app.add_option("--parameters", parameters, "parameters updated")->capture_default_str();
  app.add_option("--threads", threads, "threads of both sides")->capture_default_str();
  app.add_option("--rounds", rounds, "interleaved pairs")->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  set_num_threads(threads);
  optim::AdamW adamw({.lr = 1e-3, .weight_decay = 0.1});
  const Array value = random_values(parameters, "value"), gradient = random_values(parameters, "gradient");
  const Array source = random_values(parameters, "source"), target = random_values(parameters, "target");
  adamw.attach({optim::Slot{"w", {parameters}, 0, false, value, {}}});
  const std::vector<optim::Gradient> gradients = {gradient};

  std::vector<double> updates, copies, additions, ratios;
  const double n = static_cast<double>(parameters);
  for (int round = 0; round < rounds + 2; ++round) {
    const double updated = seconds_of([&] { adamw.update(gradients, 0.9); });
    const double copied = seconds_of([&] { copy(source, target); });
    const double added = seconds_of([&] { accumulate(target, source); });
    if (round >= 2) {  // the first rounds take page faults
      updates.push_back(n * 28 / updated / 1e9);
      copies.push_back(n * 8 / copied / 1e9);
      additions.push_back(n * 12 / added / 1e9);
      ratios.push_back(updates.back() / std::max(copies.back(), additions.back()));
    }
  }
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  std::printf("AdamW, %lld parameters, %d thread(s), medians of %d interleaved rounds, GB/s read and written\n",
              static_cast<long long>(parameters), threads, rounds);
  std::printf("  memcpy            %7.2f\n", median(copies));
  std::printf("  target += source  %7.2f\n", median(additions));
  std::printf("  AdamW             %7.2f  (%.0f M parameters/s)\n", median(updates), median(updates) * 1e3 / 28);
  std::printf("  of the limit: %.1f %% (%.1f to %.1f)\n", median(ratios) * 100, *least * 100, *most * 100);
  return 0;
}
