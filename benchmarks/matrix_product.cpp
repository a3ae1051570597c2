// One-core matrix products of the models' shapes: ours in f32 beside oneDNN's sgemm, and ours in bf16 as a step in
// mixed precision makes them: f32 activations, gradients and results, bf16 weights. Rounds alternate between the three;
// the ratios (of speeds: ours to oneDNN's, bf16 to f32) are the medians of the rounds' ratios.
//
//   taskset -c 0 build/bin/bench_matrix_product [ROUNDS] [slow]     slow: without the processor's bf16 instruction
#include <dnnl.h>
#include <fmt/core.h>
#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "benchmarks/measure-inl.h"
#include "trireme/core/base/instruction_set.h"
#include "trireme/core/base/random.h"
#include "trireme/core/ops/gemm.h"

namespace {

using trireme::BFloat16;
using trireme::bench::median;
using trireme::ops::GemmArgs;

struct Case {
  const char* what;
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
};

// A lane of 6 samples of the GPT with C=128, one of 4 with C=384, one of 1 with C=768 (T=512), and SimpleNet's; then a
// GPT's lane of 2048 tokens.
constexpr Case kCases[] = {
    {"SimpleNet forward", 32, 128, 784, false, true},  {"SimpleNet dW", 128, 784, 32, true, false},
    {"C128 qkv", 384, 384, 128, false, false},         {"C128 fc", 384, 512, 128, false, false},
    {"C128 proj", 384, 128, 512, false, false},        {"C128 proj dX", 384, 512, 128, false, true},
    {"C128 fc dW", 128, 512, 384, true, false},        {"C128 head", 384, 256, 128, false, true},
    {"C384 qkv", 1024, 1152, 384, false, false},       {"C384 fc", 1024, 1536, 384, false, false},
    {"C384 proj", 1024, 384, 1536, false, false},      {"C384 qkv dX", 1024, 384, 1152, false, true},
    {"C384 fc dW", 384, 1536, 1024, true, false},      {"C768 fc", 512, 3072, 768, false, false},
    {"C768 fc dX", 512, 768, 3072, false, true},       {"C768 fc dW", 768, 3072, 512, true, false},
    {"square", 1024, 1024, 1024, false, false},        {"2048 C384 qkv", 2048, 1152, 384, false, false},
    {"2048 C384 out", 2048, 384, 384, false, false},   {"2048 C384 fc", 2048, 1536, 384, false, false},
    {"2048 C384 proj", 2048, 384, 1536, false, false}, {"2048 C384 fc dX", 2048, 384, 1536, false, true},
    {"2048 C384 fc dW", 384, 1536, 2048, true, false}, {"2048 C384 qkv dW", 384, 1152, 2048, true, false},
    {"2048 C768 qkv", 2048, 2304, 768, false, false},  {"2048 C768 out", 2048, 768, 768, false, false},
    {"2048 C768 fc", 2048, 3072, 768, false, false},   {"2048 C768 proj", 2048, 768, 3072, false, false},
    {"2048 C768 fc dX", 2048, 768, 3072, false, true}, {"2048 C768 fc dW", 768, 3072, 2048, true, false},
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

// The three products of one case on the same values.
struct Products {
  Products(const Case& shape, const std::vector<float>& a, const std::vector<float>& b)
      : c(shape), a(a), b(b), rounded(b.size()), ours(static_cast<std::size_t>(c.m * c.n)), theirs(ours), narrow(ours) {
    std::transform(b.begin(), b.end(), rounded.begin(), [](float value) { return BFloat16(value); });
  }

  template <class T>
  GemmArgs<T> args() const {
    return {.transpose_a = c.transpose_a,
            .transpose_b = c.transpose_b,
            .m = c.m,
            .n = c.n,
            .k = c.k,
            .a = a.data(),
            .lda = lda(),
            .b = b.data(),
            .ldb = ldb(),
            .ldc = c.n};
  }
  std::int64_t lda() const { return c.transpose_a ? c.m : c.k; }
  std::int64_t ldb() const { return c.transpose_b ? c.k : c.n; }

  void run_ours() {
    GemmArgs<float> f32 = args<float>();
    f32.c = ours.data();
    trireme::ops::gemm(f32);
  }
  void run_narrow() {
    GemmArgs<BFloat16> bf16 = args<BFloat16>();
    bf16.c = narrow.data();
    if (!c.transpose_a) {  // forward and dX: B is the weight; dW is a product of f32 arrays
      bf16.b = rounded.data();
    }
    trireme::ops::gemm(bf16);
  }
  void run_theirs() {
    dnnl_sgemm(c.transpose_a ? 'T' : 'N', c.transpose_b ? 'T' : 'N', c.m, c.n, c.k, 1, a.data(), lda(), b.data(), ldb(),
               0, theirs.data(), c.n);
  }
  // bf16 elements are within 1 / 256 of the f32 ones.
  bool agree() const {
    const float most = static_cast<float>(c.k);
    for (std::size_t i = 0; i < ours.size(); ++i) {
      if (std::abs(ours[i] - theirs[i]) > 1e-3f * most || std::abs(ours[i] - narrow[i]) > 1e-2f * most) {
        return false;
      }
    }
    return true;
  }

  Case c;
  const std::vector<float>& a;
  const std::vector<float>& b;
  std::vector<BFloat16> rounded;
  std::vector<float> ours, theirs, narrow;
};

void compare(const Case& c, int rounds) {
  const std::vector<float> a = random_values(c.m * c.k);
  const std::vector<float> b = random_values(c.k * c.n);
  Products products(c, a, b);
  const auto ours = [&] { products.run_ours(); };
  const auto theirs = [&] { products.run_theirs(); };
  const auto narrow = [&] { products.run_narrow(); };
  ours();
  theirs();
  narrow();
  if (!products.agree()) {
    fmt::print("{}: the three products differ\n", c.what);
    std::exit(1);
  }
  const int repeats = std::max(1, static_cast<int>(0.02 / seconds(ours, 1)));
  std::vector<double> our_times, their_times, narrow_times, ratios, gains;
  for (int round = 0; round < rounds; ++round) {
    our_times.push_back(seconds(ours, repeats));
    their_times.push_back(seconds(theirs, repeats));
    narrow_times.push_back(seconds(narrow, repeats));
    ratios.push_back(their_times.back() / our_times.back());
    gains.push_back(our_times.back() / narrow_times.back());
  }
  const double operations = 2.0 * static_cast<double>(c.m * c.n * c.k) / 1e9;
  fmt::print("{:<18} {:5} {:5} {:5} {:>8.1f} {:>8.1f} {:>7.2f} {:>8.1f} {:>7.2f}\n", c.what, c.m, c.n, c.k,
             operations / median(our_times), operations / median(their_times), median(ratios),
             operations / median(narrow_times), median(gains));
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::max(1, std::atoi(argv[1])) : 11;
  omp_set_num_threads(1);
  trireme::allow_native_bf16(argc <= 2 || std::strcmp(argv[2], "slow") != 0);
  fmt::print("{:<18} {:>5} {:>5} {:>5} {:>8} {:>8} {:>7} {:>8} {:>7}\n", "product", "m", "n", "k", "ours", "oneDNN",
             "ratio", "bf16", "to f32");
  fmt::print("{:<18} {:>5} {:>5} {:>5} {:>8} {:>8} {:>7} {:>8}\n", "", "", "", "", "GF/s", "GF/s", "", "GF/s");
  for (const Case& c : kCases) {
    compare(c, rounds);
  }
  return 0;
}
