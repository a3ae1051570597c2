// One-core matrix products of the models' shapes, ours beside oneDNN's sgemm, in the same rounds. Rounds
// alternate; the ratio is the median of the rounds' ratios.
//
//   taskset -c 0 build/bin/bench_matrix_product [ROUNDS]
#include <dnnl.h>
#include <fmt/core.h>
#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <vector>

#include "benchmarks/measure-inl.h"
#include "trireme/core/base/random.h"
#include "trireme/core/ops/gemm.h"

namespace {

using trireme::bench::median;
using trireme::ops::GemmArgs;

struct Case {
  const char* what;
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
};

// A lane of 6 samples of the GPT with C=128, one of 4 with C=384, one of 1 with C=768 (T=512), and SimpleNet's.
constexpr Case kCases[] = {
    {"SimpleNet forward", 32, 128, 784, false, true}, {"SimpleNet dW", 128, 784, 32, true, false},
    {"C128 qkv", 384, 384, 128, false, false},        {"C128 fc", 384, 512, 128, false, false},
    {"C128 proj", 384, 128, 512, false, false},       {"C128 proj dX", 384, 512, 128, false, true},
    {"C128 fc dW", 128, 512, 384, true, false},       {"C128 head", 384, 256, 128, false, true},
    {"C384 qkv", 1024, 1152, 384, false, false},      {"C384 fc", 1024, 1536, 384, false, false},
    {"C384 proj", 1024, 384, 1536, false, false},     {"C384 qkv dX", 1024, 384, 1152, false, true},
    {"C384 fc dW", 384, 1536, 1024, true, false},     {"C768 fc", 512, 3072, 768, false, false},
    {"C768 fc dX", 512, 768, 3072, false, true},      {"C768 fc dW", 768, 3072, 512, true, false},
    {"square", 1024, 1024, 1024, false, false},
};

double seconds(const std::function<void()>& work, int repeats) {
  const auto work_repeatedly = [&] {
    for (int i = 0; i < repeats; ++i) {
      work();
    }
  };
  return trireme::bench::seconds_of(work_repeatedly) / repeats;
}

std::vector<float> random_values(std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  trireme::RandomStream(1, "matrix").fill_normal(0, values);
  return values;
}

void compare(const Case& c, int rounds) {
  const std::vector<float> a = random_values(c.m * c.k);
  const std::vector<float> b = random_values(c.k * c.n);
  std::vector<float> ours(static_cast<std::size_t>(c.m * c.n));
  std::vector<float> theirs(ours.size());
  const std::int64_t lda = c.transpose_a ? c.m : c.k;
  const std::int64_t ldb = c.transpose_b ? c.k : c.n;
  const GemmArgs<float> args{.transpose_a = c.transpose_a,
                             .transpose_b = c.transpose_b,
                             .m = c.m,
                             .n = c.n,
                             .k = c.k,
                             .a = a.data(),
                             .lda = lda,
                             .b = b.data(),
                             .ldb = ldb,
                             .c = ours.data(),
                             .ldc = c.n};
  const auto run_ours = [&] { trireme::ops::gemm(args); };
  const auto run_theirs = [&] {
    dnnl_sgemm(c.transpose_a ? 'T' : 'N', c.transpose_b ? 'T' : 'N', c.m, c.n, c.k, 1, a.data(), lda, b.data(), ldb, 0,
               theirs.data(), c.n);
  };
  run_ours();
  run_theirs();
  for (std::size_t i = 0; i < ours.size(); ++i) {
    if (std::abs(ours[i] - theirs[i]) > 1e-3f * static_cast<float>(c.k)) {
      fmt::print("{}: the two products differ at element {}\n", c.what, i);
      std::exit(1);
    }
  }
  const int repeats = std::max(1, static_cast<int>(0.02 / seconds(run_ours, 1)));
  std::vector<double> our_times, their_times, ratios;
  for (int round = 0; round < rounds; ++round) {
    const double mine = seconds(run_ours, repeats);
    const double other = seconds(run_theirs, repeats);
    our_times.push_back(mine);
    their_times.push_back(other);
    ratios.push_back(other / mine);
  }
  const double operations = 2.0 * static_cast<double>(c.m * c.n * c.k) / 1e9;
  fmt::print("{:<18} {:5} {:5} {:5} {:>8.1f} {:>8.1f} {:>7.2f}\n", c.what, c.m, c.n, c.k,
             operations / median(our_times), operations / median(their_times), median(ratios));
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 11;
  omp_set_num_threads(1);
  fmt::print("{:<18} {:>5} {:>5} {:>5} {:>8} {:>8} {:>7}\n", "product", "m", "n", "k", "ours", "oneDNN", "ratio");
  fmt::print("{:<18} {:>5} {:>5} {:>5} {:>8} {:>8}\n", "", "", "", "", "GF/s", "GF/s");
  for (const Case& c : kCases) {
    compare(c, rounds);
  }
  return 0;
}
