// General matrix product on raw memory: what linear, matmul, attention, convolution and the loss head are made of.
//
// The sums over K run in one order that depends on K alone, in fused multiply-adds, so an element of C has the same
// bits for any M, N, leading dims, layout of A and B, and number of threads. The method is that of Goto and van de
// Geijn ("Anatomy of high-performance matrix multiplication", 2008): panels of B packed for the second-level cache, a
// block of C held in registers. It allocates nothing after a thread's first call.
//
// bf16 products multiply elements of 8 significant bits, exactly, and add them up in f32: on the processor's own
// instruction (AVX512_BF16: twice the f32 rate) or, where it has none, with the same roundings in f32 instructions. The
// bits are the same on every instruction set, except that the native instruction takes denormal f32 numbers (below
// 1.2e-38) for zero.
#pragma once

#include <cstddef>
#include <cstdint>

#include "trireme/core/base/half.h"

namespace trireme::ops {

// What a bf16 product reads: bf16 elements, or f32 elements that are rounded to nearest even on their way in.
struct Bf16Operand {
  Bf16Operand(std::nullptr_t = nullptr) {}                   // NOLINT(google-explicit-constructor)
  Bf16Operand(const float* elements) : f32(elements) {}      // NOLINT(google-explicit-constructor)
  Bf16Operand(const BFloat16* elements) : bf16(elements) {}  // NOLINT(google-explicit-constructor)
  Bf16Operand operator+(std::int64_t elements) const {
    return bf16 != nullptr ? Bf16Operand(bf16 + elements) : Bf16Operand(f32 + elements);
  }

  const float* f32 = nullptr;  // one of the two
  const BFloat16* bf16 = nullptr;
};

// The types of a product: float and double for what they say, BFloat16 for bf16 products with f32 results.
template <class T>
struct ProductTypes {
  using Operand = const T*;
  using Result = T;
};
template <>
struct ProductTypes<BFloat16> {
  using Operand = Bf16Operand;
  using Result = float;
};

// Row-major: op(A) is [m, k], op(B) is [k, n], C is [m, n]; a leading dim is the distance between stored rows.
template <class T>
struct GemmArgs {
  using Operand = typename ProductTypes<T>::Operand;
  using Result = typename ProductTypes<T>::Result;

  bool transpose_a = false;  // A is stored as [k, m]
  bool transpose_b = false;  // B is stored as [n, k]
  std::int64_t m = 0;
  std::int64_t n = 0;
  std::int64_t k = 0;
  Operand a = nullptr;
  std::int64_t lda = 0;
  Operand b = nullptr;
  std::int64_t ldb = 0;
  Result* c = nullptr;
  std::int64_t ldc = 0;
  bool accumulate = false;       // C += instead of C =
  const Result* bias = nullptr;  // [n], added to every row; may be null
};

// C = op(A) op(B) (+ C) (+ bias). C must not overlap A, B or the bias. Runs on parallel_for; inside a tile of
// parallel_for it runs inline, so batches of small products are best spread by the caller. k = 0 is an empty sum.
void gemm(const GemmArgs<float>& args);
void gemm(const GemmArgs<double>& args);
void gemm(const GemmArgs<BFloat16>& args);

}  // namespace trireme::ops
