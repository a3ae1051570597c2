// Fused multiply-adds as fast as the processor issues them, in the instruction set that the kernels use.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "trireme/launcher/bench_compute.cpp"
#include "trireme/core/base/simd.h"
// after simd.h
#include "trireme/core/base/simd-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trireme::launcher::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Twelve chains hide the latency of a fused multiply-add (4 to 5 cycles, two a cycle). Returns the number of float
// operations; `result` keeps the compiler from dropping them.
double multiply_add(long rounds, float* result) {
  const hn::ScalableTag<float> d;
  const auto factor = hn::Set(d, 0.999f);
  const auto addend = hn::Set(d, 0.001f);
  auto a0 = hn::Set(d, 1.00f), a1 = hn::Set(d, 1.01f), a2 = hn::Set(d, 1.02f), a3 = hn::Set(d, 1.03f);
  auto a4 = hn::Set(d, 1.04f), a5 = hn::Set(d, 1.05f), a6 = hn::Set(d, 1.06f), a7 = hn::Set(d, 1.07f);
  auto a8 = hn::Set(d, 1.08f), a9 = hn::Set(d, 1.09f), a10 = hn::Set(d, 1.10f), a11 = hn::Set(d, 1.11f);
  for (long round = 0; round < rounds; ++round) {
    a0 = hn::MulAdd(a0, factor, addend);
    a1 = hn::MulAdd(a1, factor, addend);
    a2 = hn::MulAdd(a2, factor, addend);
    a3 = hn::MulAdd(a3, factor, addend);
    a4 = hn::MulAdd(a4, factor, addend);
    a5 = hn::MulAdd(a5, factor, addend);
    a6 = hn::MulAdd(a6, factor, addend);
    a7 = hn::MulAdd(a7, factor, addend);
    a8 = hn::MulAdd(a8, factor, addend);
    a9 = hn::MulAdd(a9, factor, addend);
    a10 = hn::MulAdd(a10, factor, addend);
    a11 = hn::MulAdd(a11, factor, addend);
  }
  const auto low = hn::Add(hn::Add(hn::Add(a0, a1), hn::Add(a2, a3)), hn::Add(a4, a5));
  const auto high = hn::Add(hn::Add(hn::Add(a6, a7), hn::Add(a8, a9)), hn::Add(a10, a11));
  *result = hn::GetLane(hn::SumOfLanes(d, hn::Add(low, high)));
  return 2.0 * 12.0 * static_cast<double>(hn::Lanes(d)) * static_cast<double>(rounds);
}

}  // namespace trireme::launcher::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <atomic>
#include <vector>

#include "trireme/launcher/bench.h"
#include "trireme/launcher/stopwatch.h"

namespace trireme::launcher {
namespace {

HWY_EXPORT(multiply_add);

}  // namespace

double fma_peak(int threads) {
  constexpr long kRounds = 8'000'000;
  std::vector<float> results(static_cast<std::size_t>(threads) * 16);  // a cache line each
  std::atomic<double> operations{0};
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    const double seconds = seconds_together(threads, [&](int thread) {
      operations = HWY_DYNAMIC_DISPATCH(multiply_add)(kRounds, &results[static_cast<std::size_t>(thread) * 16]);
    });
    best = std::max(best, operations * threads / seconds / 1e9);
  }
  return best;
}

}  // namespace trireme::launcher
#endif
