// General matrix product on raw memory: what linear, matmul, attention, convolution and the loss head are made of.
//
// The sums over K run in one order that depends on K alone, in fused multiply-adds, so an element of C has the same
// bits for any M, N, leading dims, layout of A and B, and number of threads. The method is that of Goto and van de
// Geijn
// ("Anatomy of high-performance matrix multiplication", 2008): panels of B packed for the second-level cache, a block
// of C held in registers. It allocates nothing after a thread's first call.
#pragma once

#include <cstdint>

namespace trireme::ops {

// Row-major: op(A) is [m, k], op(B) is [k, n], C is [m, n]; a leading dim is the distance between stored rows.
template <class T>
struct GemmArgs {
  bool transpose_a = false;  // A is stored as [k, m]
  bool transpose_b = false;  // B is stored as [n, k]
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  const T* a = nullptr;
  std::int64_t lda = 0;
  const T* b = nullptr;
  std::int64_t ldb = 0;
  T* c = nullptr;
  std::int64_t ldc = 0;
  bool accumulate = false;  // C += instead of C =
  const T* bias = nullptr;  // [n], added to every row; may be null
};

// C = op(A) op(B) (+ C) (+ bias). C must not overlap A, B or the bias. Runs on parallel_for; inside a tile of
// parallel_for it runs inline, so batches of small products are best spread by the caller. k = 0 is an empty sum.
void gemm(const GemmArgs<float>& args);
void gemm(const GemmArgs<double>& args);

}  // namespace trireme::ops
