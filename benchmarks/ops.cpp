// Speed of the ops on the path of a GPT, beside the limits of the machine measured in the same run.
//
//   bench_ops [--benchmark_filter=...]
//
// Counters: GF/s, the share of the multiply-add peak of one core ("peak"), or GB/s. CPU time of one thread.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <ctime>

#include "trireme/core/base/parallel.h"
#include "trireme/core/base/random.h"
#include "trireme/core/ops/attention.h"
#include "trireme/core/ops/cross_entropy.h"
#include "trireme/core/ops/gelu.h"
#include "trireme/core/ops/gemm.h"
#include "trireme/core/ops/layer_norm.h"
#include "trireme/core/ops/linear.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/benchmarks/ops.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::HWY_NAMESPACE {
namespace {

// `rounds` times 12 independent multiply-adds of whole vectors, whose chains hide the latency. Returns their number.
std::int64_t multiply_adds(std::int64_t rounds, float* out) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const V a = hn::Set(d, 0.999f);
  const V b = hn::Set(d, 0.001f);
  V x[12];
  for (int i = 0; i < 12; ++i) {
    x[i] = hn::Set(d, static_cast<float>(i));
  }
  for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < 12; ++i) {
      x[i] = hn::MulAdd(x[i], a, b);
    }
  }
  V sum = b;
  for (int i = 0; i < 12; ++i) {
    sum = hn::Add(sum, x[i]);
  }
  *out = reduce_sum(d, sum);
  return rounds * 12 * static_cast<std::int64_t>(hn::Lanes(d));
}

}  // namespace
}  // namespace trireme::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trireme {
HWY_EXPORT(multiply_adds);
namespace {

using benchmark::Counter;
using benchmark::State;

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Operations a second of one core: the best of several short runs.
double peak() {
  static const double best = [] {
    double rate = 0;
    for (int run = 0; run < 20; ++run) {
      float out = 0;
      const double begin = cpu_seconds();
      const std::int64_t count = HWY_DYNAMIC_DISPATCH(multiply_adds)(200000, &out);
      const double seconds = cpu_seconds() - begin;
      benchmark::DoNotOptimize(out);
      rate = std::max(rate, 2.0 * static_cast<double>(count) / seconds);
    }
    return rate;
  }();
  return best;
}

void report_arithmetic(State& state, double operations) {
  const double total = operations * static_cast<double>(state.iterations());
  state.counters["GF/s"] = Counter(total / 1e9, Counter::kIsRate);
  state.counters["peak"] = Counter(total / peak(), Counter::kIsRate);
}

void report_bytes(State& state, double bytes) {
  state.counters["GB/s"] = Counter(bytes / 1e9 * static_cast<double>(state.iterations()), Counter::kIsRate);
}

Array values(const Shape& shape) {
  Array out = Array::empty(shape);
  const RandomStream stream(1, "benchmark");
  for (std::int64_t i = 0; i < out.count(); ++i) {
    out.data<float>()[i] = static_cast<float>(stream.uniform(static_cast<std::uint64_t>(i)) - 0.5);
  }
  return out;
}

Tensor parameter(const Shape& shape) {
  Tensor leaf = Tensor::leaf(values(shape));
  leaf.leaf_node().set_buffer(Array::zeros(shape));
  return leaf;
}

void one_element_gelu(State& state) {
  const Tensor x(values({1}));
  for (auto _ : state) {
    benchmark::DoNotOptimize(ops::gelu(x));
  }
}
BENCHMARK(one_element_gelu);

void one_element_gelu_recorded(State& state) {
  const Tensor x = parameter({1});
  for (auto _ : state) {
    benchmark::DoNotOptimize(ops::gelu(x));
  }
}
BENCHMARK(one_element_gelu_recorded);

void one_element_gelu_chain_with_backward(State& state) {
  Tensor x = parameter({1});
  const Array start = Array::full({1}, 1);
  for (auto _ : state) {
    Tensor y = x;
    for (int i = 0; i < 100; ++i) {
      y = ops::gelu(y);
    }
    y.backward(start);
    x.zero_grad();
  }
  state.counters["ns/op"] =
      Counter(static_cast<double>(state.iterations()) * 100 * 1e-9, Counter::kIsRate | Counter::kInvert);
}
BENCHMARK(one_element_gelu_chain_with_backward);

// m, n, k, transpose_a, transpose_b
void gemm(State& state) {
  const std::int64_t m = state.range(0);
  const std::int64_t n = state.range(1);
  const std::int64_t k = state.range(2);
  const bool transpose_a = state.range(3) != 0;
  const bool transpose_b = state.range(4) != 0;
  const Array a = values({m, k});
  const Array b = values({k, n});
  const Array c = values({m, n});
  for (auto _ : state) {
    ops::gemm(ops::GemmArgs<float>{.transpose_a = transpose_a,
                                   .transpose_b = transpose_b,
                                   .m = m,
                                   .n = n,
                                   .k = k,
                                   .a = a.data<float>(),
                                   .lda = transpose_a ? m : k,
                                   .b = b.data<float>(),
                                   .ldb = transpose_b ? k : n,
                                   .c = c.data<float>(),
                                   .ldc = n});
  }
  report_arithmetic(state, 2.0 * static_cast<double>(m * n * k));
}
BENCHMARK(gemm)
    ->Args({32, 128, 784, 0, 1})
    ->Args({128, 784, 32, 1, 0})
    ->Args({32, 10, 128, 0, 1})
    ->Args({384, 384, 128, 0, 0})
    ->Args({384, 128, 384, 0, 1})
    ->Args({128, 384, 384, 1, 0})
    ->Args({384, 512, 128, 0, 0})
    ->Args({384, 128, 512, 0, 0})
    ->Args({512, 128, 384, 1, 0})
    ->Args({64, 64, 32, 0, 0})
    ->Args({1024, 1152, 384, 0, 0})
    ->Args({1024, 384, 1152, 0, 1})
    ->Args({384, 1152, 1024, 1, 0})
    ->Args({512, 3072, 768, 0, 0})
    ->Args({512, 768, 3072, 0, 1})
    ->Args({768, 3072, 512, 1, 0});

void layer_norm(State& state) {
  const Tensor x = parameter({state.range(0), state.range(1)});
  const Tensor weight = parameter({state.range(1)});
  const Tensor bias = parameter({state.range(1)});
  const Array dy = values(x.shape());
  for (auto _ : state) {
    ops::layer_norm(x, weight, bias, 1e-5).backward(dy);
  }
  report_bytes(state, 6.0 * static_cast<double>(x.array().bytes()));  // x, y; x, dy, dx and the copy of the start
}
BENCHMARK(layer_norm)->Args({384, 128})->Args({1024, 384})->Args({512, 768});

void gelu(State& state) {
  const Tensor x = parameter({state.range(0)});
  const Array dy = values(x.shape());
  for (auto _ : state) {
    ops::gelu(x).backward(dy);
  }
  report_bytes(state, 6.0 * static_cast<double>(x.array().bytes()));
}
BENCHMARK(gelu)->Arg(384 * 512)->Arg(1024 * 1536);

void cross_entropy(State& state) {
  const std::int64_t rows = state.range(0);
  const Tensor logits = parameter({rows, state.range(1)});
  const Array labels = Array::zeros({rows}, DType::i64);
  for (auto _ : state) {
    ops::cross_entropy(logits, labels).backward();
  }
  report_bytes(state, 4.0 * static_cast<double>(logits.array().bytes()));
}
BENCHMARK(cross_entropy)->Args({384, 256})->Args({64, 50257});

// Rows, width, vocabulary. "peak" counts the three products.
void linear_cross_entropy(State& state) {
  const Tensor x = parameter({state.range(0), state.range(1)});
  Tensor weight = Tensor::leaf(values({state.range(2), state.range(1)}));
  const Array labels = Array::zeros({state.range(0)}, DType::i64);
  for (auto _ : state) {
    ops::linear_cross_entropy(x, weight, labels).backward();
    weight.zero_grad();
  }
  report_arithmetic(state, 6.0 * static_cast<double>(state.range(0) * state.range(1) * state.range(2)));
}
BENCHMARK(linear_cross_entropy)->Args({512, 768, 50257})->Unit(benchmark::kMillisecond);

// Batch, length, heads, width of a head. Arithmetic of the causal half: 6 products of [T, T, D] / 2 with backward.
void attention(State& state) {
  const std::int64_t columns = state.range(2) * state.range(3);
  const Tensor qkv = parameter({state.range(0), state.range(1), 3 * columns});
  const Array dy = values({state.range(0), state.range(1), columns});
  for (auto _ : state) {
    ops::causal_self_attention(qkv, state.range(2)).backward(dy);
  }
  report_arithmetic(state, 6.0 * static_cast<double>(state.range(0) * columns * state.range(1) * state.range(1)));
}
BENCHMARK(attention)->Args({6, 64, 4, 32})->Args({4, 256, 6, 64})->Args({1, 512, 12, 64})->Args({1, 1024, 12, 64});

// One block of a GPT, forward and backward, without its residual additions. Batch, length, heads, width.
void gpt_block(State& state) {
  const std::int64_t rows = state.range(0) * state.range(1);
  const std::int64_t c = state.range(3);
  const auto layout = ops::WeightLayout::in_out;
  const Tensor x = parameter({state.range(0), state.range(1), c});
  const Tensor gain = parameter({c});
  const Tensor offset = parameter({c});
  const Tensor qkv = parameter({c, 3 * c});
  const Tensor projection = parameter({c, c});
  const Tensor up = parameter({c, 4 * c});
  const Tensor down = parameter({4 * c, c});
  const Array dy = values(x.shape());
  for (auto _ : state) {
    Tensor y = ops::linear(ops::layer_norm(x, gain, offset, 1e-5), qkv, Tensor(), layout);
    y = ops::linear(ops::causal_self_attention(y, state.range(2)), projection, Tensor(), layout);
    y = ops::linear(ops::layer_norm(y, gain, offset, 1e-5), up, Tensor(), layout);
    ops::linear(ops::gelu(y), down, Tensor(), layout).backward(dy);
  }
  report_arithmetic(state,
                    72.0 * static_cast<double>(rows * c * c) + 6.0 * static_cast<double>(rows * c * state.range(1)));
}
BENCHMARK(gpt_block)
    ->Args({6, 64, 4, 128})
    ->Args({4, 256, 6, 384})
    ->Args({1, 512, 12, 768})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace trireme

BENCHMARK_MAIN();
#endif
