// What the plain ops cost on one core: the overhead of a tiny op, and the throughput of large ones, convolutions
// included.
//
//   taskset -c 0 build/bin/bench_elementwise [--benchmark_filter=REGEX]
//
// bytes_per_second counts each operand and the result once; items_per_second of convolutions are multiply-adds times
// two.
#include <benchmark/benchmark.h>

#include <chrono>

#include "trireme/core/ops/arithmetic.h"
#include "trireme/core/ops/batch_norm.h"
#include "trireme/core/ops/conv2d.h"
#include "trireme/core/ops/dropout.h"
#include "trireme/core/ops/pooling.h"
#include "trireme/core/ops/reduce.h"
#include "trireme/core/ops/relu.h"
#include "trireme/core/ops/softmax.h"
#include "trireme/core/ops/view.h"

namespace {

using namespace trireme;

constexpr int kChain = 1000;

Array filled(const Shape& shape) {
  Array x = Array::empty(shape);
  for (std::int64_t i = 0; i < x.count(); ++i) {
    x.data<float>()[i] = static_cast<float>(i % 97) / 97 - 0.5F;
  }
  return x;
}

void one_element_add(benchmark::State& state) {
  const Tensor a(Array::full({1}, 1));
  for (auto _ : state) {
    benchmark::DoNotOptimize(ops::add(a, a));
  }
}
BENCHMARK(one_element_add);

void one_element_add_recorded(benchmark::State& state) {
  const Tensor a = Tensor::leaf(Array::full({1}, 1));
  for (auto _ : state) {
    benchmark::DoNotOptimize(ops::add(a, a));
  }
}
BENCHMARK(one_element_add_recorded);

// The time of one node in a chain of adds.
void backward_node(benchmark::State& state) {
  const Tensor x = Tensor::leaf(Array::full({1}, 1));
  const Tensor b(Array::full({1}, 1));
  for (auto _ : state) {
    Tensor y = x;
    for (int i = 0; i < kChain; ++i) {
      y = ops::add(y, b);
    }
    const auto start = std::chrono::steady_clock::now();
    y.backward();
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / kChain);
  }
}
BENCHMARK(backward_node)->UseManualTime()->Iterations(1000);  // the rest of an iteration takes far longer

// An op on [1024, 768] floats (3 MiB). `passes`: how often that many bytes are read or written.
template <class F>
void throughput(benchmark::State& state, double passes, const F& op) {
  const Tensor x(filled({1024, 768}));
  for (auto _ : state) {
    benchmark::DoNotOptimize(op(x));
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(static_cast<double>(state.iterations()) * passes *
                                                    static_cast<double>(x.array().bytes())));
}

#define TRIREME_THROUGHPUT(name, passes, expression)                       \
  void name(benchmark::State& state) {                                     \
    throughput(state, passes, [](const Tensor& x) { return expression; }); \
  }                                                                        \
  BENCHMARK(name)
TRIREME_THROUGHPUT(add, 3, ops::add(x, x));
TRIREME_THROUGHPUT(relu, 2, ops::relu(x));
TRIREME_THROUGHPUT(exp, 2, ops::exp(x));
TRIREME_THROUGHPUT(log, 2, ops::log(x));
TRIREME_THROUGHPUT(tanh, 2, ops::tanh(x));
TRIREME_THROUGHPUT(dropout, 2, ops::dropout(x, 0.1, 1));
TRIREME_THROUGHPUT(softmax, 2, ops::softmax(x, -1));
TRIREME_THROUGHPUT(sum_all, 1, ops::sum(x));
TRIREME_THROUGHPUT(sum_rows, 1, ops::sum(x, {1}));
TRIREME_THROUGHPUT(sum_columns, 1, ops::sum(x, {0}));
TRIREME_THROUGHPUT(transposed_copy, 2, ops::contiguous(ops::transpose(x, 0, 1)));

// Arguments: channels in and out, image size, stride; kernel 3, batch 16.
void conv2d(benchmark::State& state, bool backward) {
  const std::int64_t channels = state.range(0), size = state.range(1), stride = state.range(2);
  Tensor x = Tensor::leaf(filled({16, channels, size, size}));
  Tensor weight = Tensor::leaf(filled({channels, channels, 3, 3}));
  std::int64_t products = 0;
  for (auto _ : state) {
    x.zero_grad();
    weight.zero_grad();
    const Tensor y = ops::conv2d(x, weight, Tensor(), {.stride = stride, .padding = 1});
    products = y.count() * channels * 9 * (backward ? 3 : 1);
    if (backward) {
      y.backward(y.array());
    }
  }
  state.SetItemsProcessed(state.iterations() * 2 * products);
}
void conv2d_forward(benchmark::State& state) { conv2d(state, false); }
void conv2d_with_backward(benchmark::State& state) { conv2d(state, true); }
BENCHMARK(conv2d_forward)->Args({16, 32, 1})->Args({64, 8, 1})->Args({32, 32, 2});
BENCHMARK(conv2d_with_backward)->Args({16, 32, 1})->Args({64, 8, 1})->Args({32, 32, 2});

void batch_norm_with_backward(benchmark::State& state) {
  Tensor x = Tensor::leaf(filled({32, 64, 16, 16}));
  Tensor weight = Tensor::leaf(Array::full({64}, 1));
  for (auto _ : state) {
    x.zero_grad();
    weight.zero_grad();
    const Tensor y = ops::batch_norm(x, weight, weight, {}, {});
    y.backward(y.array());
  }
  state.SetBytesProcessed(state.iterations() * 9 * static_cast<std::int64_t>(x.array().bytes()));
}
BENCHMARK(batch_norm_with_backward);

void max_pool_with_backward(benchmark::State& state) {
  Tensor x = Tensor::leaf(filled({32, 64, 16, 16}));
  for (auto _ : state) {
    x.zero_grad();
    const Tensor y = ops::max_pool2d(x);
    y.backward(y.array());
  }
  state.SetBytesProcessed(state.iterations() * 2 * static_cast<std::int64_t>(x.array().bytes()));
}
BENCHMARK(max_pool_with_backward);

}  // namespace

BENCHMARK_MAIN();
